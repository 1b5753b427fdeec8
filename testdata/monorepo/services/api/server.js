// A server that asks the Go server over its public address, with TLS verified.
import http from "node:http";

const { PORT, HOST, DEVPROXY_STOCK_URL } = process.env;

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
