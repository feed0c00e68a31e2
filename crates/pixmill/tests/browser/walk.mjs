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
    // A picture of the catalogue that its shop does not have can't be tried, which browsers tell of by themselves.
    const gone = message.location().url.endsWith("/v1/preview/image") && message.text().includes("502");
    if (message.type() === "error" && !gone) said.push(`${page.url()}: ${message.text()}`);
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

// Before and after, by mouse, keys and touch; side by side without JavaScript.
async function beforeAndAfter(id) {
  const images = await (await fetch(`${PIXMILL}/v1/requests/${id}/images?status=completed`)).json();
  const address = `${PIXMILL}/requests/${id}/images/${images.data[0].id}`;
  const page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
  heard(page);
  await page.goto(address);
  await page.waitForSelector(".slides .handle", { state: "attached" });
  const at = (of) => of.$eval("[data-pair]", (pair) => getComputedStyle(pair).getPropertyValue("--at").trim());
  const place = async (of, share) => {
    const box = await of.locator("[data-pair]").boundingBox();
    return [box.x + box.width * share, box.y + box.height * 0.7];
  };
  await page.mouse.move(...(await place(page, 0.5)));
  await page.mouse.down();
  await page.mouse.move(...(await place(page, 0.25)), { steps: 5 });
  await page.mouse.up();
  assert.equal(await at(page), "25%", "dragged");
  await page.focus(".tools input");
  await page.keyboard.press("ArrowRight");
  assert.equal(await at(page), "26%");
  await page.keyboard.press("Shift+ArrowRight");
  assert.equal(await at(page), "36%");
  assert.equal(await page.getAttribute(".tools input", "aria-valuetext"), "36 % before, 64 % after");
  await page.keyboard.press("Home");
  assert.equal(await page.getAttribute(".tools input", "aria-valuetext"), "all after");
  await page.keyboard.press("f");
  assert.equal(await at(page), "100%", "flipped");
  await page.keyboard.press("z");
  const [wide, natural] = await page.$eval("[data-pair]", (pair) => [pair.clientWidth, pair.querySelectorAll("img")[1].naturalWidth]);
  assert.equal(wide, natural, "a pixel for a pixel");
  await page.keyboard.press("+");
  assert.equal(await page.textContent(".tools .zoom"), "200 %");
  await page.keyboard.press("0");
  await page.click("a[data-score]");
  await page.waitForFunction(() => /SSIMULACRA2 \d/.test(document.querySelector(".look figcaption").textContent), null, { timeout: 30_000 });
  await page.close();
  const phone = await browser.newContext({ hasTouch: true, isMobile: true, viewport: { width: 360, height: 740 } });
  const touched = await phone.newPage();
  await touched.goto(address);
  await touched.waitForSelector(".slides .handle", { state: "attached" });
  await touched.locator("[data-pair]").scrollIntoViewIfNeeded();
  await touched.touchscreen.tap(...(await place(touched, 0.75)));
  assert.equal(await at(touched), "75%", "touched");
  await phone.close();
  const plain = await browser.newContext({ javaScriptEnabled: false, viewport: { width: 1280, height: 900 } });
  const two = await plain.newPage();
  await two.goto(address);
  const [before, after] = await two.locator("[data-pair] img").all();
  const [left, right] = [await before.boundingBox(), await after.boundingBox()];
  assert.ok(left.x + left.width <= right.x && left.width > 100 && right.width > 100, "side by side");
  await two.goto(`${address}?score=true`);
  assert.match(await two.textContent(".look figcaption"), /SSIMULACRA2 \d/);
  await plain.close();
}

// The recipe tried on three of the catalogue's own pictures, and its shops asked, with JavaScript and without.
async function beforeItIsHandedIn() {
  const file = catalogue("look.csv", ["caps.jpg", "river.jpg", "gone.jpg", "old-town.jpg"]);
  const page = await browser.newPage();
  heard(page);
  await handIn(page, file);
  await page.waitForSelector(".tried li:nth-child(2) img", { timeout: 30_000 });
  const score = () => page.textContent(".tried li:first-child b");
  const usual = await score();
  await page.fill("#quality", "12");
  await page.waitForFunction((before) => document.querySelector(".tried li:first-child b")?.textContent !== before, usual, { timeout: 30_000 });
  await page.click("[data-ask]");
  await page.waitForSelector("[data-asked] table", { timeout: 30_000 });
  assert.match(await page.textContent("[data-asked]"), /4 pictures in 4 rows.*About.*would become/s);
  assert.match(await page.textContent("[data-asked]"), /line 4, picture 1/);
  await page.close();
  const context = await browser.newContext({ javaScriptEnabled: false, viewport: { width: 360, height: 740 } });
  const plain = await context.newPage();
  await handIn(plain, file);
  await plain.fill("#quality", "30");
  await plain.click("[data-ask]");
  await plain.waitForSelector(".tried img");
  assert.equal(await plain.inputValue("#quality"), "30", "what was said is there still");
  assert.match(await plain.textContent(".panel"), /line 4, picture 1/);
  await context.close();
}

// A request prints as a report.
async function printed(id) {
  const page = await browser.newPage();
  heard(page);
  await page.goto(`${PIXMILL}/requests/${id}/report`);
  await page.emulateMedia({ media: "print" });
  assert.ok(!(await page.isVisible(".top")) && !(await page.isVisible(".actions")) && (await page.isVisible(".contact")));
  const paper = await page.pdf({ format: "A4", printBackground: true });
  assert.ok(paper.length > 20_000, `${paper.length} bytes`);
  writeFileSync(join(STATE, "report.pdf"), paper);
  await page.close();
}

// Each page fits a phone, has nothing that axe finds, and says nothing on the console.
async function everyPage(id) {
  const images = await (await fetch(`${PIXMILL}/v1/requests/${id}/images`)).json();
  const of = (rest) => `/requests/${id}${rest}`;
  const pages = ["/requests", "/requests/new", "/savings", "/webhooks", "/hosts", "/workers", "/system",
    "/keys", "/audit", "/sign-in", of(""), of("/failures"), of("/images"), of("/worst"), of("/worst?by=score"), of("/report"),
    ...images.data.slice(0, 2).map((image) => of(`/images/${image.id}`))];
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
  await beforeAndAfter(id);
  console.log("before and after by mouse, keys, touch and without JavaScript");
  await beforeItIsHandedIn();
  console.log("a recipe tried and shops asked before, with JavaScript and without");
  await printed(id);
  console.log("a request prints as a report");
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
