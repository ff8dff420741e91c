// Recording from the camera and the microphone.

import { $ } from "./view.js";

/** Record from the camera and the microphone; `onVideo` is called with the File. */
export async function record(onVideo) {
  const dialog = $("recorder");
  const [problem, preview] = [dialog.querySelector(".error"), dialog.querySelector("video")];
  const toggle = dialog.querySelector("[data-do=toggle]");
  let stream = null;
  let recorder = null;
  dialog.onclose = () => {
    recorder?.state === "recording" && recorder.stop();
    stream?.getTracks().forEach((track) => track.stop());
    preview.srcObject = null;
  };
  dialog.querySelector("[data-do=close]").onclick = () => dialog.close();
  toggle.textContent = "Start recording";
  toggle.disabled = true;
  problem.hidden = true;
  dialog.showModal();
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: true, audio: true });
  } catch (error) {
    problem.textContent = error.name === "NotAllowedError" ? "The browser was not allowed to use the camera and the microphone." : "No camera with a microphone was found.";
    problem.hidden = false;
    return;
  }
  if (!dialog.open) return stream.getTracks().forEach((track) => track.stop());
  preview.srcObject = stream;
  await preview.play();
  toggle.disabled = false;
  toggle.onclick = () => {
    if (recorder) return dialog.close();
    const parts = [];
    recorder = new MediaRecorder(stream);
    recorder.ondataavailable = ({ data }) => parts.push(data);
    recorder.onstop = () => {
      const type = recorder.mimeType.split(";")[0];
      onVideo(new File(parts, type.includes("mp4") ? "recording.mp4" : "recording.webm", { type }));
    };
    recorder.start();
    toggle.textContent = "Stop and use";
  };
}
