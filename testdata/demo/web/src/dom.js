export const byId = (id) => document.getElementById(id)

export function text(id, value) {
  byId(id).textContent = String(value)
}

// state colours the dot of a connection: "open", "connecting" or "closed".
export function state(id, value) {
  byId(id).dataset.state = value
  byId(id).title = value
}
