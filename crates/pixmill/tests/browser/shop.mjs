// A shop's pictures, on this machine, at two hosts; what it does not have is 404.
import { createReadStream, existsSync, statSync } from "node:fs";
import { createServer } from "node:http";
import { basename, join } from "node:path";

const folder = process.argv[2];
const shop = (call, answer) => {
  const file = join(folder, basename(new URL(call.url, "http://shop").pathname));
  if (!existsSync(file)) {
    answer.writeHead(404).end();
    return;
  }
  answer.writeHead(200, { "content-length": statSync(file).size });
  createReadStream(file).pipe(answer);
};
const server = createServer(shop).listen(0, "127.0.0.1", () => {
  const { port } = server.address();
  createServer(shop).listen(port, "127.0.0.2", () => console.log(`http://127.0.0.1:${port}`));
});
