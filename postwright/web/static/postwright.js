// Live progress and copy buttons. Every page is whole without this file.
"use strict";

const language = document.documentElement.lang || "en";
const words = JSON.parse(document.body.dataset.words || "{}");
const whole = new Intl.NumberFormat(language);
const fine = new Intl.NumberFormat(language, { maximumFractionDigits: 1, minimumFractionDigits: 1 });

function duration(seconds) {
  const units = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
  let left = Math.round(seconds);
  const parts = [];
  for (const [size, unit] of units) {
    const count = Math.floor(left / size);
    left -= count * size;
    if (count) parts.push(words[unit].replace("%(count)s", whole.format(count)));
  }
  return parts.slice(0, 2).join(" ") || words.s.replace("%(count)s", "0");
}

function setText(name, text) {
  for (const element of document.querySelectorAll(`[data-live="${name}"]`)) {
    if (element.textContent !== text) element.textContent = text;
  }
}

/** Watches one thing that moves: asks for its numbers and writes them where the page names them. */
class Watch {
  static SPAN = 10_000;

  constructor(root) {
    this.url = root.dataset.watch;
    this.recentUrl = root.dataset.recent;
    this.state = root.dataset.state;
    this.every = Number(root.dataset.every || 1000);
    this.samples = [];
    this.rounds = 0;
    this.failures = 0;
  }

  async run() {
    for (;;) {
      const wait = this.every * Math.min(2 ** this.failures, 30);
      await new Promise((resolve) => setTimeout(resolve, wait));
      if (document.hidden) continue;
      try {
        if (!(await this.look())) return;
        this.failures = 0;
      } catch {
        this.failures += 1; // the server is away for a moment; the page goes on showing what it knows
      }
    }
  }

  async look() {
    const response = await fetch(this.url, { headers: { Accept: "application/json" } });
    if (response.status === 403 || response.status === 404) {
      location.reload(); // the session is over
      return false;
    }
    if (!response.ok) throw new Error(String(response.status));
    const progress = await response.json();
    if (progress.state !== this.state) {
      location.reload(); // other buttons, other words
      return false;
    }
    this.show(progress);
    this.rounds += 1;
    if (this.recentUrl && this.rounds % 3 === 0) await this.showRecent();
    return true;
  }

  show(progress) {
    setText("settled", whole.format(progress.settled));
    setText("total", whole.format(progress.total));
    setText("percent", progress.percent);
    for (const bar of document.querySelectorAll("progress[data-live-bar]")) {
      bar.max = Math.max(progress.total, 1);
      bar.value = progress.settled;
    }
    for (const [key, row] of Object.entries(progress.rows)) this.showRow(key, row);
    this.showPace(progress);
    if (progress.expected !== undefined) {
      setText("expected", progress.expected);
      setText("expected-offset", progress.expected_offset);
      setText("expected-why", progress.expected_why);
    }
  }

  showRow(key, row) {
    setText(`${key}-count`, whole.format(row.count));
    if (row.share === undefined) return;
    setText(`${key}-share`, row.share);
    if (row.ever !== null) setText(`${key}-ever`, whole.format(row.ever));
    const line = document.querySelector(`[data-row="${key}"]`);
    if (line) line.classList.toggle("none", row.count === 0 && !row.ever);
    const rect = document.querySelector(`rect[data-bar="${key}"]`);
    if (rect) {
      rect.setAttribute("x", `${row.start}%`);
      rect.setAttribute("width", `${row.width}%`);
    }
  }

  /** The pace of the last ten seconds; until there are three, the average that the server knows. */
  showPace(progress) {
    const now = performance.now();
    this.samples.push({ at: now, tried: progress.tried });
    this.samples = this.samples.filter((sample) => now - sample.at <= Watch.SPAN);
    const first = this.samples[0];
    const span = (now - first.at) / 1000;
    const recent = span >= 3;
    const rate = recent ? (progress.tried - first.tried) / span : progress.rate;
    if (rate === undefined) return;
    setText("rate", rate >= 100 ? whole.format(Math.round(rate)) : fine.format(rate));
    setText("rate-span", recent ? words.lately : words.on_average);
    const left = progress.rows.under_way?.count;
    if (progress.active) setText("remaining", recent && rate > 0 && left ? duration(left / rate) : progress.remaining);
    if (progress.seconds !== undefined && progress.active) setText("elapsed", duration(progress.seconds));
  }

  async showRecent() {
    const response = await fetch(this.recentUrl);
    const target = document.querySelector("[data-recent-target]");
    // The server has escaped it, and the page's policy lets no inline script run.
    if (response.ok && target) target.innerHTML = await response.text();
  }
}

function offerCopying() {
  if (!navigator.clipboard) return;
  for (const button of document.querySelectorAll("button[data-copy]")) {
    button.hidden = false;
    const label = button.querySelector("span");
    const before = label.textContent;
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(button.dataset.copy);
        label.textContent = words.copied;
      } catch {
        label.textContent = words.by_hand;
      }
      setTimeout(() => { label.textContent = before; }, 2000);
    });
  }
}

function closeQuestions(event) {
  for (const question of document.querySelectorAll("details.ask[open], details.workspaces[open]")) {
    const isLeft = event.key === "Escape";
    if (isLeft && question.contains(document.activeElement)) question.querySelector("summary").focus();
    if (isLeft || (event.type === "click" && !question.contains(event.target))) question.open = false;
  }
}

/** Forms that ask the world: the button says so, and cannot be pressed twice. */
function tellOfSlowForms() {
  for (const form of document.querySelectorAll("form[data-slow]")) {
    const button = form.querySelector("button");
    const before = button.textContent;
    form.addEventListener("submit", () => {
      button.disabled = true;
      button.textContent = form.dataset.slow;
    });
    window.addEventListener("pageshow", () => {
      button.disabled = false; // come back to by the browser's button
      button.textContent = before;
    });
  }
}

/** An offer to undo stands for ten seconds, longer while somebody is at it. */
function withdrawOffers() {
  for (const bar of document.querySelectorAll("[data-undo]")) {
    let left = 10;
    const tick = setInterval(() => {
      if (bar.matches(":hover, :focus-within") || document.hidden) return;
      left -= 1;
      if (left > 0) return;
      clearInterval(tick);
      bar.remove();
    }, 1000);
  }
}

/** Times are shown in the zone of the browser, unless the person has chosen another. */
function tellZone() {
  if (/(^|; )postwright-zone=/.test(document.cookie)) return;
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (!zone) return;
  const secure = location.protocol === "https:" ? "; Secure" : "";
  document.cookie = `postwright-zone=${encodeURIComponent(zone)}; Path=/; Max-Age=34560000; SameSite=Lax${secure}`;
}

const watched = document.querySelector("[data-watch]");
if (watched) new Watch(watched).run();
offerCopying();
tellOfSlowForms();
withdrawOffers();
tellZone();
document.addEventListener("click", closeQuestions);
document.addEventListener("keydown", closeQuestions);
