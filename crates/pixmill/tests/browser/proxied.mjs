// Behind nginx, over plain http on a named host, below a path that the proxy leaves or cuts off: signed in with a key.
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { chromium } from "playwright-core";

const { KEY, CUT_KEY, LEAVES, CUTS, SHOP, STATE } = process.env;
const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";
const browser = await chromium.launch({
  executablePath,
  args: ["--no-sandbox", "--host-resolver-rules=MAP shop.test 127.0.0.1"],
});
const said = [];

async function walk(home, key, javaScriptEnabled) {
  const context = await browser.newContext({ javaScriptEnabled });
  const page = await context.newPage();
  page.on("console", (message) => message.type() === "error" && said.push(`${page.url()}: ${message.text()}`));
  page.on("pageerror", (error) => said.push(`${page.url()}: ${error.message}`));
  page.on("request", (request) => {
    const { pathname } = new URL(request.url());
    if (!pathname.startsWith("/pixmill/")) said.push(`${page.url()} asks for ${pathname}`);
  });
  await page.goto(`${home}/requests/new`);
  await page.fill("#key", key);
  await page.click(".gate button.main");
  await page.waitForURL("**/pixmill/requests/new");
  const file = join(STATE, "proxied.csv");
  const mark = `${Date.now()}`;
  writeFileSync(file, `SKU,Name,Image Urls\n1,Cap,${SHOP}/caps.jpg?${mark}\n2,Gone,${SHOP}/gone.jpg?${mark}\n`);
  await page.setInputFiles("#file", file);
  await page.click("[data-new] button.main");
  await page.waitForURL(/\/pixmill\/requests\/[0-9a-f-]{36}$/);
  const overview = page.url();
  for (let look = 0; look < 100 && (await page.locator(".group-head").count()) === 0; look += 1) {
    await page.waitForTimeout(200);
    if (!javaScriptEnabled) await page.goto(overview);
  }
  await page.click(".group-head");
  await page.fill("input.url", `${SHOP}/river.jpg?${mark}`);
  await page.click(".mend button.main");
  await page.waitForURL("**done=corrected-1");
  await page.goto(`${overview}/images?q=status:completed`);
  await page.click(".pictures th a");
  await page.waitForSelector("[data-pair] img");
  const there = () => page.$$eval("[data-pair] img", (all) => all.every((picture) => picture.complete && picture.naturalWidth > 0));
  for (let look = 0; look < 100 && !(await there()); look += 1) await page.waitForTimeout(100);
  assert.ok(await there(), "before and after");
  await page.click(".top-end form button:last-child");
  await page.waitForURL("**/pixmill/sign-in");
  await page.goto(overview);
  assert.match(page.url(), /\/pixmill\/sign-in\?next=/, "signed out");
  await context.close();
}

try {
  for (const [home, key] of [[LEAVES, KEY], [CUTS, CUT_KEY]]) {
    for (const javaScriptEnabled of [true, false]) await walk(home, key, javaScriptEnabled);
  }
  assert.deepEqual(said, []);
  console.log("behind nginx below a path, left and cut off, over plain http on a named host");
} finally {
  await browser.close();
}
