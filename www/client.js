// The tutorial's page: open, send, stop, and a history of what was said.

const message = document.querySelector("#message");
const history = document.querySelector("#history");

/** Adds a line to the history. As text: what came from the network is never markup. */
function show(line) {
  const item = document.createElement("li");
  item.textContent = line;
  history.append(item);
  item.scrollIntoView({ block: "nearest" });
}

const url = new URL("/WebSocketGenericHandler.ashx", location.href);
url.protocol = url.protocol.replace("http", "ws");
const socket = new WebSocket(url);

socket.addEventListener("open", () => show("Connection Opened with the Echo server."));
socket.addEventListener("message", (event) => show(event.data));
socket.addEventListener("error", () => show("Unexpected Error."));
socket.addEventListener("close", (event) => show(`Connection Closed (${event.code}).`));

document.querySelector("#form").addEventListener("submit", (event) => {
  event.preventDefault();
  if (socket.readyState !== WebSocket.OPEN) {
    show("The underlying connection is closed.");
    return;
  }
  socket.send(message.value);
  message.value = "";
  message.focus();
});

document.querySelector("#stop").addEventListener("click", () => socket.close());
