// Requests to the REST API.

export class ApiError extends Error {
  constructor(status, { code, message } = {}) {
    super(message ?? `The server answered with status ${status}.`);
    this.status = status;
    this.code = code ?? "internal";
  }
}

const offline = () => new ApiError(0, { code: "offline", message: "Check the connection, or whether the server runs." });

/** Call the REST API; returns the parsed JSON, null for an empty answer. */
export async function api(path, method = "GET") {
  const response = await fetch(path, { method }).catch(() => null);
  if (!response) throw offline();
  if (response.status === 204) return null;
  const body = await response.json().catch(() => ({}));
  if (!response.ok) throw new ApiError(response.status, body.error);
  return body;
}

/** Send the form of a new job; `fetch` cannot report how much was sent. */
export function upload(form, { path = "/v1/segment", signal, onProgress }) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.responseType = "json";
    request.upload.onprogress = ({ loaded, total }) => onProgress(loaded / total);
    request.onload = () =>
      request.status === 202 ? resolve(request.response) : reject(new ApiError(request.status, request.response?.error));
    request.onerror = () => reject(offline());
    request.onabort = () => resolve(null);
    signal.onabort = () => request.abort();
    request.open("POST", path);
    request.send(form);
  });
}
