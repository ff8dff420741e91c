// The page of `save-avs serve`: sends a video to the REST API, follows its job, and shows the result.
// The job's id is the fragment of the address, so that a link to a job can be kept and reloaded.

import { ApiError, api } from "./api.js";
import { setUpForm, startForm, submitAgain } from "./form.js";
import { showMask, startPrompts } from "./prompt.js";
import { ResultView } from "./result.js";
import { ProgressView, show, showError, showMessage, sleep } from "./view.js";

const POLL_MS = 400;

/** Follow a job until it has ended or the address names another. */
async function followJob(id) {
  const path = `/v1/jobs/${encodeURIComponent(id)}`;
  const current = () => location.hash === `#${id}`;
  let view = null;
  while (current()) {
    try {
      const job = await api(path);
      if (!current()) return;
      if (!["accepted", "running"].includes(job.state)) return await showEnd(path, job);
      view ??= new ProgressView(() => api(`${path}/cancel`, "POST").catch(() => {}));
      view.update(job.name, job.progress, job.queue_position);
    } catch (error) {
      if (!current()) return;
      if (!(error instanceof ApiError)) throw error;
      if ([404, 422].includes(error.status)) {
        return showMessage("This job is no longer here", "Its time is over, or it was deleted. Upload the video again.");
      }
      if (error.code !== "offline") return showError(error);
      view ??= new ProgressView(() => {});
      view.lost();
    }
    await sleep(POLL_MS);
  }
}

async function showEnd(path, job) {
  if (job.state === "failed") return showError(job.error);
  if (job.state === "cancelled") return showMessage("Cancelled", `${job.name} was not segmented.`);
  const files = job.results;
  if (files["mask.png"]) return showMask(path, job);
  const summary = await api(files["summary.json"]);
  const frames = files["masks.json"] ? await api(`${path}/frames`) : null;
  const waveform = files["waveform.json"] ? await api(files["waveform.json"]) : null;
  new ResultView(path, job, { summary, frames, waveform, again: submitAgain });
}

function route() {
  const id = location.hash.slice(1);
  if (id) followJob(id);
  else show("start");
}

startForm();
addEventListener("hashchange", route);
route();
api("/v1/models").then((offer) => {
  setUpForm(offer);
  startPrompts(offer.prompt_model);
}, showError);
