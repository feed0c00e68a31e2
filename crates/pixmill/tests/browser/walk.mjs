// The week's walk through the dashboard, with a real browser. Fails at the first promise that does not hold.
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import axe from "@axe-core/playwright";
import { chromium } from "playwright-core";

const { PIXMILL, SHOP, STATE } = process.env;
const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
const said = [];

function heard(page) {
  page.on("console", (message) => {
    if (message.type() === "error") said.push(`${page.url()}: ${message.text()}`);
  });
  page.on("pageerror", (error) => said.push(`${page.url()}: ${error.message}`));
}

function catalogue(name, rows) {
  const file = join(STATE, name);
  const lines = rows.map((path, at) => `${4711 + at},Cap ${at},${SHOP}/${path}?${at}`);
  writeFileSync(file, `SKU,Product Name,Image Urls\n${lines.join("\n")}\n`);
  return file;
}

async function tabTo(page, selector) {
  for (let step = 0; step < 80; step += 1) {
    if (await page.evaluate((one) => document.activeElement?.matches(one), selector)) return;
    await page.keyboard.press("Tab");
  }
  assert.fail(`${selector} is not reached by keyboard at ${page.url()}`);
}

async function handIn(page, file) {
  await page.goto(`${PIXMILL}/requests/new`);
  await page.setInputFiles("#file", file);
  return page;
}

// By keyboard alone: hand in, watch, open the group of 404s, correct two, retry those.
async function byKeyboard() {
  const page = await browser.newPage();
  heard(page);
  await page.goto(`${PIXMILL}/requests`);
  await page.keyboard.press("n");
  await page.waitForURL("**/requests/new");
  await page.setInputFiles("#file", catalogue("spring.csv", ["caps.jpg", "gone-1.jpg", "gone-2.jpg", "river.jpg", "gone-3.jpg"]));
  await page.waitForSelector("[data-preview] table");
  assert.match(await page.textContent("[data-preview] .found"), /5 pictures/);
  await tabTo(page, "[data-new] button.main");
  await page.keyboard.press("Enter");
  await page.waitForURL(/requests\/[0-9a-f-]{36}$/);
  await page.waitForSelector(".groups", { timeout: 60_000 });
  await tabTo(page, ".group-head");
  await page.keyboard.press("Enter");
  await page.waitForURL("**/failures?q=code:fetch.status");
  for (const number of [0, 1]) {
    const name = await page.locator("input.url").nth(number).getAttribute("name");
    await tabTo(page, `[name="${name}"]`);
    await page.keyboard.press("Control+a");
    await page.keyboard.type(`${SHOP}/old-town.jpg?mended-${number}`);
  }
  await page.keyboard.press("Enter");
  await page.waitForURL("**done=corrected-2");
  assert.match(await page.textContent("[role=status].notice"), /2 addresses corrected/);
  const id = page.url().match(/requests\/([^/]+)/)[1];
  for (;;) {
    const request = await (await fetch(`${PIXMILL}/v1/requests/${id}`)).json();
    if (request.status === "completed") {
      assert.equal(request.failedImages, 1, "those that were corrected are done, and no other was touched");
      break;
    }
    await new Promise((go) => setTimeout(go, 200));
  }
  await page.close();
  return id;
}

// The same without JavaScript, on a phone.
async function withoutScript() {
  const context = await browser.newContext({ javaScriptEnabled: false, viewport: { width: 360, height: 740 } });
  const page = await context.newPage();
  await handIn(page, catalogue("plain.csv", ["caps.jpg", "gone.jpg"]));
  await page.click("[data-new] button.main");
  await page.waitForURL(/requests\/[0-9a-f-]{36}$/);
  const overview = page.url();
  for (let look = 0; look < 100 && (await page.locator(".group-head").count()) === 0; look += 1) {
    await page.waitForTimeout(200);
    await page.goto(overview);
  }
  await page.click(".group-head");
  await page.fill("input.url", `${SHOP}/river.jpg`);
  await page.click(".mend button.main");
  await page.waitForURL("**done=corrected-1");
  await context.close();
}

// Each page fits a phone, has nothing that axe finds, and says nothing on the console.
async function everyPage(id) {
  const images = await (await fetch(`${PIXMILL}/v1/requests/${id}/images`)).json();
  const of = (rest) => `/requests/${id}${rest}`;
  const pages = ["/requests", "/requests/new", "/savings", "/webhooks", "/hosts", "/workers", "/system",
    "/keys", "/audit", "/sign-in", of(""), of("/failures"), of("/images"),
    of("/worst"), ...images.data.slice(0, 2).map((image) => of(`/images/${image.id}`))];
  for (const colorScheme of ["light", "dark"]) {
    for (const width of [360, 1280]) {
      const context = await browser.newContext({ colorScheme, viewport: { width, height: 800 } });
      for (const path of pages) {
        const page = await context.newPage();
        heard(page);
        await page.goto(PIXMILL + path);
        const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        assert.ok(wide <= 0, `${path} is ${wide} pixels too wide at ${width}`);
        const found = await new axe({ page }).analyze();
        const told = found.violations.map((one) => `${one.id}: ${one.nodes[0].target}`);
        assert.deepEqual(told, [], `${path} ${colorScheme} ${width}`);
        await page.close();
      }
      await context.close();
    }
  }
  return pages.length;
}

// Hosts and keys, without JavaScript: pause, go on; make a key, sign in with it, revoke it.
async function operated() {
  const context = await browser.newContext({ javaScriptEnabled: false, viewport: { width: 360, height: 740 } });
  const page = await context.newPage();
  const host = new URL(SHOP).host;
  await page.goto(`${PIXMILL}/hosts`);
  const line = page.locator("tr", { hasText: host });
  await line.locator("summary").click();
  await line.getByRole("button", { name: "Pause" }).click();
  await page.waitForURL("**/hosts?done=paused**");
  assert.match(await page.textContent(".notice"), /is paused/);
  await page.locator("tr", { hasText: host }).getByRole("button", { name: /^Go on/ }).click();
  await page.waitForURL("**/hosts?done=resumed**");
  await page.goto(`${PIXMILL}/workers`);
  assert.match(await page.textContent("table"), /API and worker/);
  await page.goto(`${PIXMILL}/keys`);
  await page.fill("#name", "Ada");
  await page.selectOption("#role", "admin");
  await page.getByRole("button", { name: "Make it" }).click();
  const secret = await page.inputValue("#secret");
  assert.match(secret, /^pxm_[0-9a-f]{64}$/);
  // The server knows of the first key within a second, and asks for one from then on.
  for (let look = 0; look < 50 && !page.url().includes("/sign-in"); look += 1) {
    await page.waitForTimeout(200);
    await page.goto(`${PIXMILL}/keys`);
  }
  await page.fill("#key", secret);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.waitForURL("**/keys");
  await page.goto(`${PIXMILL}/audit`);
  assert.match(await page.textContent("table"), /made a key/);
  await page.goto(`${PIXMILL}/keys`);
  await page.getByRole("button", { name: /^Revoke the key of Ada/ }).click();
  await page.waitForURL("**/sign-in**").catch(() => {});
  await context.close();
}

// Seven tabs of one request: HTTP/1.1 has six connections.
async function sevenTabs(id) {
  const context = await browser.newContext();
  for (let tab = 0; tab < 7; tab += 1) {
    const page = await context.newPage();
    heard(page);
    await page.goto(`${PIXMILL}/requests/${id}`, { timeout: 20_000 });
  }
  await context.close();
}

try {
  const id = await byKeyboard();
  console.log("the walk by keyboard alone");
  await withoutScript();
  console.log("the walk without JavaScript, on a phone");
  const pages = await everyPage(id);
  console.log(`${pages} pages, each at 360 and 1280 pixels in light and dark: nothing found by axe`);
  await sevenTabs(id);
  console.log("seven tabs");
  await operated();
  console.log("a host paused and a key made, used and revoked, without JavaScript");
  assert.deepEqual(said, [], "nothing is refused by the policy, and nothing goes wrong on the console");
  console.log("0 errors on the console");
} finally {
  await browser.close();
}
