// Pictures of every page, for docs/dashboard: a shop's weeks are handed in and moved back in time, then each page is shown.
import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { chromium } from "playwright-core";

const { PIXMILL, SHOP, STATE, PICTURES, BINARY } = process.env;
const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";
const names = ["caps.jpg", "hibiscus-cutout.jpg", "lighthouse-phone.jpg", "lighthouse.jpg", "macaws-cutout.jpg", "motocross.jpg", "old-town.jpg", "river.jpg", "caps-cutout.jpg"];
const products = ["Snapback cap", "Hibiscus brooch", "Postcard: lighthouse", "Poster: lighthouse", "Macaw ornament", "Motocross jersey", "Puzzle: old town", "Poster: river", "Bucket hat", "Enamel mug", "Tote bag", "Beanie", "Phone case", "Calendar", "Sticker set"];
// A second name of this machine's is a second host.
const cdn = SHOP.replace("127.0.0.1", "127.0.0.2");

const hook = createServer((call, answer) => {
  call.resume();
  answer.writeHead(call.url.startsWith("/away") ? 503 : 200, { "content-type": "application/json" });
  answer.end(call.url.startsWith("/away") ? '{"error":"the shop is being updated"}' : '{"ok":true}');
});
await new Promise((listening) => hook.listen(0, "127.0.0.1", listening));
const webhook = (path) => `http://127.0.0.1:${hook.address().port}${path}`;

function catalogue(seed, gone) {
  const lines = products.map((product, row) => {
    const address = gone.includes(row) ? `${cdn}/moved/${1000 + row}.jpg` : `${row % 3 === 0 ? cdn : SHOP}/${names[(row + seed) % names.length]}?v=${seed}-${row}`;
    return `${4700 + row},${product},${(9.9 + row).toFixed(2)},${address}`;
  });
  return `SKU,Product Name,Price,Image Urls\n${lines.join("\n")}\n`;
}

async function handIn(name, text, more = {}) {
  const query = new URLSearchParams({ name, ...more });
  const answer = await fetch(`${PIXMILL}/v1/requests?${query}`, { method: "POST", body: text, headers: { "content-type": "text/csv" } });
  const { id } = await answer.json();
  for (;;) {
    const request = await (await fetch(`${PIXMILL}/v1/requests/${id}`)).json();
    if (request.status === "completed") return id;
    await new Promise((go) => setTimeout(go, 200));
  }
}

const weeks = [["jpeg", [2]], ["jpeg", []], ["webp", [4, 9]], ["jpeg", []], ["webp", [11]], ["webp", []], ["jpeg", [3]]];
const ids = [];
for (const [at, [format, gone]] of weeks.entries()) {
  ids.push(await handIn("spring-catalogue.csv", catalogue(at, gone), { format, webhookUrl: webhook("/told") }));
}
const avif = await handIn("banners.csv", catalogue(20, []), { format: "avif" });
const failed = await handIn("spring-catalogue.csv", catalogue(30, [1, 5, 8, 12]), { format: "jpeg", webhookUrl: webhook("/away") });
const back = { [avif]: 1 };
for (const [at, id] of ids.entries()) back[id] = 7 * (weeks.length - at);
execFileSync("python3", ["-c", `
import json, sqlite3, sys
records = sqlite3.connect(sys.argv[1], timeout=30)
for id, days in json.loads(sys.argv[2]).items():
    by = days * 86400000
    records.execute("UPDATE requests SET created = created - ?, completed = completed - ?, touched = touched - ? WHERE id = ?", [by, by, by, id])
    records.execute("UPDATE deliveries SET at = at - ? WHERE request = (SELECT num FROM requests WHERE id = ?)", [by, id])
records.commit()
`, join(STATE, "data", "pixmill.db"), JSON.stringify(back)]);
await fetch(`${PIXMILL}/v1/hosts/${new URL(cdn).host}/pause`, { method: "POST", headers: { "content-type": "application/json" }, body: '{"minutes":60}' });

mkdirSync(PICTURES, { recursive: true });
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--force-color-profile=srgb"] });
const images = await (await fetch(`${PIXMILL}/v1/requests/${failed}/images?status=completed`)).json();
const of = (rest) => `/requests/${failed}${rest}`;
const pages = {
  requests: "/requests", request: of(""), failures: of("/failures"), images: of("/images"), image: of(`/images/${images.data[2].id}`),
  worst: of("/worst"), report: of("/report"), savings: "/savings", webhooks: "/webhooks", hosts: "/hosts", system: "/system", workers: "/workers",
  keys: "/keys", audit: "/audit", new: "/requests/new", "sign-in": "/sign-in",
};

async function shoot(name, path, { width = 1280, colorScheme = "light", height = 800, before, whole = true } = {}) {
  const page = await browser.newPage({ viewport: { width, height }, colorScheme, deviceScaleFactor: width < 500 ? 2 : 1 });
  await page.goto(PIXMILL + path);
  await before?.(page);
  await page.waitForLoadState("networkidle").catch(() => {});
  // Pictures are asked for once they come near.
  await page.evaluate(async () => {
    for (let at = 0; at < document.body.scrollHeight; at += 600) {
      scrollTo(0, at);
      await new Promise((go) => setTimeout(go, 60));
    }
    scrollTo(0, 0);
  });
  await page.waitForTimeout(500);
  const high = await page.evaluate(() => document.body.scrollHeight);
  const clip = { x: 0, y: 0, width, height: Math.min(high, whole ? 1500 : height) };
  const file = join(PICTURES, `${name}.png`);
  await page.screenshot({ path: file, clip, fullPage: true });
  await page.close();
  execFileSync(BINARY, ["image", file, join(PICTURES, `${name}.webp`), "--format", "webp", "--quality", width < 500 ? "50" : "60"], { stdio: "ignore" });
}

const opened = (page) => page.locator("details summary").first().click();
const chosen = async (page) => {
  const file = join(STATE, "autumn.csv");
  writeFileSync(file, catalogue(40, [7]));
  await page.setInputFiles("#file", file);
  await page.waitForSelector(".tried img", { timeout: 30_000 });
};
const before = { webhooks: opened, new: chosen };
for (const [name, path] of Object.entries(pages)) {
  for (const [suffix, options] of [["", {}], ["-dark", { colorScheme: "dark" }], ["-phone", { width: 360, height: 780, whole: false, colorScheme: "dark" }]]) {
    await shoot(name + suffix, path, { ...options, before: before[name] });
  }
}
await browser.close();
hook.close();
console.log(`pictures are in ${PICTURES}`);
