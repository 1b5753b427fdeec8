// Prints whether Node trusts the server's certificate, and the addresses of each name.
const [port, ...names] = process.argv.slice(1);
const socket = require("tls").connect({ host: "127.0.0.1", port, servername: "localhost" }, () => {
  console.log("trust yes");
  socket.destroy();
});
socket.on("error", (e) => console.log(e.code && /^E[A-Z]+$/.test(e.code) ? "trust unknown" : "trust no"));
for (const name of names)
  require("dns").lookup(name, { all: true }, (_, found) =>
    console.log(["name", name, ...(found || []).map((a) => a.address)].join(" ")));
