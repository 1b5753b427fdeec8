// A server that asks the Go server over its public address, with TLS verified.
import { spawn } from "node:child_process";
import http from "node:http";

const { PORT, HOST, DEVPROXY_STOCK_URL } = process.env;

// As daemons of build tools do, it leaves the session (setsid) and has no parent that waits.
spawn("sleep", ["100000"], { detached: true, stdio: "ignore" }).unref();

http
  .createServer(async (request, response) => {
    if (request.url !== "/api/stock") {
      response.end("api");
      return;
    }
    try {
      const stock = await fetch(`${DEVPROXY_STOCK_URL}/stock`);
      response.end(`api got ${await stock.text()} from ${DEVPROXY_STOCK_URL}`);
    } catch (error) {
      response.writeHead(502).end(`${error.message}: ${error.cause}`);
    }
  })
  .listen(PORT, HOST, () => console.log("api listens"));
