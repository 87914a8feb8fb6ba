// Drives a headless Chromium for tools/browser.py: one JSON command a line on standard input, one
// answer a line on standard output.
"use strict";
const path = require("path");
const readline = require("readline");
const folder = process.argv[2];
const { chromium } = require(path.join(folder, "node_modules", "playwright-core"));
const AXE = path.join(folder, "node_modules", "axe-core", "axe.min.js");

let browser, page;
let problems = [], requests = [];

const commands = {
  // A fresh profile, so that no test sees the cache of another one.
  async view({ width, height, dark, javascript }) {
    if (page) await page.context().close();
    const context = await browser.newContext({
      viewport: { width, height },
      colorScheme: dark ? "dark" : "light",
      javaScriptEnabled: javascript,
      reducedMotion: "reduce",
      bypassCSP: false,
    });
    page = await context.newPage();
    problems = [];
    requests = [];
    page.on("console", (m) => ["error", "warning"].includes(m.type()) && problems.push(m.text()));
    page.on("pageerror", (e) => problems.push(String(e)));
    page.on("dialog", (d) => { problems.push(`dialog: ${d.message()}`); d.dismiss(); });
    page.on("request", (r) => requests.push(r.url()));
  },
  async goto({ url }) {
    const answer = await page.goto(url);
    return answer ? answer.status() : null;
  },
  async back() { await page.goBack(); },
  async press({ key }) { await page.keyboard.press(key); },
  async click({ selector }) { await page.click(selector); },
  async hover({ selector }) { await page.hover(selector); },
  async fill({ selector, text }) { await page.fill(selector, text); },
  async select({ selector, value }) { await page.selectOption(selector, value); },
  async evaluate({ expression }) { return page.evaluate(expression); },
  // waitForFunction needs eval, which the policy of the pages forbids.
  async wait({ expression }) {
    const end = Date.now() + 10000;
    // While another page loads, there is no page to evaluate it on.
    while (!(await page.evaluate(`Boolean(${expression})`).catch(() => false))) {
      if (Date.now() > end) throw new Error("it did not become true in 10 s");
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    await page.waitForLoadState();
  },
  async address() { return page.url(); },
  async seen() { return { problems, requests }; },
  async shoot({ file, whole }) { await page.screenshot({ path: file, fullPage: whole }); },
  // The policy of the pages runs no other script, so axe is evaluated by the debugger.
  async violations() {
    await page.evaluate(require("fs").readFileSync(AXE, "utf8"));
    const found = await page.evaluate("axe.run()");
    return found.violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.html).join(" | ")}`);
  },
};

async function main() {
  browser = await chromium.launch({
    executablePath: path.join(folder, "usr/lib/chromium/chromium-headless-shell"),
    args: ["--no-sandbox", "--disable-gpu", "--font-render-hinting=none"],
  });
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const { name, values } = JSON.parse(line);
    let answer;
    try {
      answer = { value: await commands[name](values) };
    } catch (error) {
      answer = { error: String(error) };
    }
    process.stdout.write(JSON.stringify(answer) + "\n");
  }
  await browser.close();
}

main().catch((error) => {
  process.stdout.write(JSON.stringify({ error: String(error) }) + "\n");
  process.exit(1);
});
