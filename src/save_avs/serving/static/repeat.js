// A job as a command and as a program.

/** Quote a text for a POSIX shell. */
const quoted = (text) => `'${String(text).replaceAll("'", "'\\''")}'`;

/** A file as curl's option -F takes it. */
const part = (name, file) => `-F ${quoted(`${name}=@"${file.replaceAll(/[\\"]/g, "\\$&")}"`)}`;

// Turns the names of all images into options; curl joins several files of one option into one part.
const FRAMES = 'set -- frames/*\nfor image in "$@"; do set -- "$@" -F "frames=@$image"; shift; done\n';

/** The request that made a job. */
export function asCurl({ name, frames, options, url }) {
  const fields = Object.entries(options).map(([key, value]) => ` \\\n  --form-string ${quoted(`${key}=${value}`)}`);
  const source = url ? `--form-string ${quoted(`url=${url}`)}` : frames ? `"$@" ${part("audio", name)}` : part("file", name);
  const curl = `curl -sS -H "Authorization: Bearer $SAVE_AVS_TOKEN" \\\n  ${source}${fields.join("")} \\\n  ${quoted(`${location.origin}/v1/segment`)}`;
  return (frames ? FRAMES : "") + curl;
}

/** The call that does the same without the server. */
export function asPython({ name, frames, options, url }) {
  const { fps, model, threshold, smooth, objects, track, save } = options;
  const text = JSON.stringify; // also a literal of Python
  const source = frames ? `"frames",\n    audio=${text(name)}` : text(url ?? name);
  const values = [source, `model=${text(model)}`, `threshold=${threshold}`];
  if (fps !== "native") values.push(`fps=${fps}`);
  if (smooth) values.push(`smooth=${smooth}`);
  if (track || objects) values.push(track ? "track=True" : "objects=True");
  values.push(`outputs=(${save.map((word) => text(word)).join(", ")}${save.length === 1 ? "," : ""})`, 'directory="results"');
  return `import save_avs\n\nresult = save_avs.segment(\n    ${values.join(",\n    ")},\n)\nprint(result)`;
}
