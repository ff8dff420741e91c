// A job as a command and as a program.

/** Quote a text for a POSIX shell. */
const quoted = (text) => `'${String(text).replaceAll("'", "'\\''")}'`;

/** The request that made a job. */
export function asCurl({ name, options, url }) {
  const fields = Object.entries(options).map(([key, value]) => ` \\\n  --form-string ${quoted(`${key}=${value}`)}`);
  const source = url ? `--form-string ${quoted(`url=${url}`)}` : `-F ${quoted(`file=@"${name.replaceAll(/[\\"]/g, "\\$&")}"`)}`;
  return `curl -sS -H "Authorization: Bearer $SAVE_AVS_TOKEN" \\\n  ${source}${fields.join("")} \\\n  ${quoted(`${location.origin}/v1/segment`)}`;
}

/** The call that does the same without the server. */
export function asPython({ name, options, url }) {
  const { fps, model, threshold, smooth, objects, track, save } = options;
  const text = JSON.stringify; // also a literal of Python
  const values = [text(url ?? name), `model=${text(model)}`, `threshold=${threshold}`];
  if (fps !== "native") values.push(`fps=${fps}`);
  if (smooth) values.push(`smooth=${smooth}`);
  if (track || objects) values.push(track ? "track=True" : "objects=True");
  values.push(`outputs=(${save.map((word) => text(word)).join(", ")}${save.length === 1 ? "," : ""})`, 'directory="results"');
  return `import save_avs\n\nresult = save_avs.segment(\n    ${values.join(",\n    ")},\n)\nprint(result)`;
}
