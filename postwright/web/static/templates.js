// The page of a template: line numbers, findings that follow the typing, the mail drawn anew. Without this file the
// page's buttons do the same.
"use strict";

/** The numbers beside the source, and the marks of findings on them. */
class Gutter {
  constructor(area, element) {
    this.area = area;
    this.element = element;
    this.list = document.createElement("ol");
    this.element.append(this.list);
    this.element.hidden = false;
    this.tones = new Map();
    area.addEventListener("scroll", () => this.follow());
    new ResizeObserver(() => this.follow()).observe(area);
    this.number();
  }

  follow() {
    this.element.style.setProperty("block-size", `${this.area.offsetHeight}px`);
    this.element.scrollTop = this.area.scrollTop;
  }

  number() {
    const wanted = this.area.value.split("\n").length;
    while (this.list.children.length > wanted) this.list.lastChild.remove();
    for (let line = this.list.children.length + 1; line <= wanted; line += 1) {
      const item = document.createElement("li");
      item.textContent = String(line);
      this.list.append(item);
    }
    this.follow();
  }

  mark(lines) {
    const order = ["unknown", "attention", "bad"];
    const tones = new Map();
    for (const [line, tone] of lines) {
      if (order.indexOf(tone) > order.indexOf(tones.get(line))) tones.set(line, tone);
    }
    for (const line of this.tones.keys()) this.list.children[line - 1]?.removeAttribute("class");
    for (const [line, tone] of tones) this.list.children[line - 1]?.setAttribute("class", tone);
    this.tones = tones;
  }
}

/** The frame with the mail. A new frame takes over when it is ready, so nothing flickers and history stays clean. */
class MailFrame {
  constructor(form, ground) {
    this.form = form;
    this.ground = ground;
    this.drawn = 0;
  }

  draw(mark = "") {
    this.drawn += 1;
    const name = `mail-${this.drawn}`;
    for (const late of this.ground.querySelectorAll("iframe.coming")) late.remove();
    const old = this.ground.querySelector("iframe");
    const frame = old.cloneNode(false);
    frame.removeAttribute("src");
    frame.name = name;
    frame.className = "coming";
    if (this.form.elements.dark.checked) frame.classList.add("dark");
    this.ground.append(frame);
    const take = () => {
      if (!frame.classList.contains("coming")) return;
      frame.classList.remove("coming");
      old.remove();
    };
    frame.addEventListener("load", take, { once: true });
    const fields = new FormData(this.form);
    fields.set("mark", mark);
    const address = this.form.dataset.frame;
    const fragment = mark === "" ? "" : "#pw-mark";
    if (this.form.dataset.fixed !== undefined) {
      for (const written of ["csrf_token", "body", "body_format", "subject", "preheader", "plain_text", "to"]) fields.delete(written);
      const query = new URLSearchParams(fields);
      query.set("version", new URLSearchParams(this.form.dataset.fixed).get("version"));
      frame.src = `${address}?${query}${fragment}`;
      return;
    }
    const post = document.createElement("form");
    post.method = "post";
    post.action = address + fragment;
    post.target = name;
    post.hidden = true;
    for (const [field, value] of fields) {
      const input = document.createElement("textarea"); // an input would lose the line breaks
      input.name = field;
      input.value = value;
      post.append(input);
    }
    document.body.append(post);
    post.submit();
    post.remove();
  }
}

class Workbench {
  static PAUSE = 450;
  static WRITTEN = ["subject", "preheader", "body", "plain_text"];

  constructor(form) {
    this.form = form;
    this.area = form.elements.body;
    this.gutter = new Gutter(this.area, form.querySelector("[data-gutter]"));
    this.frame = new MailFrame(form, form.querySelector("[data-ground]"));
    this.said = form.querySelector("[data-said]");
    this.asked = 0;
    document.documentElement.classList.add("scripted");
    this.listen();
    this.gutter.mark(this.linesOnPage());
    if (form.dataset.changed !== undefined) this.frame.draw();
    // What was written while the page still loaded, or put back by the browser, is looked at too.
    if (Workbench.WRITTEN.some((name) => form.elements[name].value !== form.elements[name].defaultValue)) this.later(0);
  }

  listen() {
    this.area.addEventListener("input", () => this.gutter.number());
    this.area.addEventListener("keydown", (event) => this.indent(event));
    for (const name of Workbench.WRITTEN) {
      this.form.elements[name].addEventListener("input", () => this.later());
    }
    this.form.addEventListener("change", (event) => {
      if (["contact", "address"].includes(event.target.name)) this.later(0);
      else if (["view", "dark", "images", "width"].includes(event.target.name)) this.frame.draw();
    });
    this.form.addEventListener("click", (event) => {
      const jump = event.target.closest("button.jump");
      if (jump) this.jump(jump);
    });
    this.form.addEventListener("submit", () => { this.isLeaving = true; });
    const before = new FormData(this.form).get("body");
    window.addEventListener("beforeunload", (event) => {
      if (!this.isLeaving && this.form.dataset.fixed === undefined && this.area.value !== before.replaceAll("\r\n", "\n")) event.preventDefault();
    });
  }

  /** Escape gives the Tab key back to the page, so that nobody is caught in the editor. */
  indent(event) {
    if (event.key === "Escape") this.isFree = true;
    else if (event.key !== "Tab") this.isFree = false;
    if (event.key !== "Tab" || event.shiftKey || this.isFree || this.area.readOnly) return;
    event.preventDefault();
    this.area.setRangeText("  ", this.area.selectionStart, this.area.selectionEnd, "end");
    this.area.dispatchEvent(new Event("input"));
  }

  later(pause = Workbench.PAUSE) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.look(), pause);
  }

  async look() {
    this.asked += 1;
    const number = this.asked;
    try {
      const response = await fetch(this.form.dataset.check, {
        method: "POST", body: new URLSearchParams(new FormData(this.form)), headers: { Accept: "application/json" },
      });
      if (response.status === 403) {
        location.reload(); // the session is over
        return;
      }
      if (!response.ok) throw new Error(String(response.status));
      const found = await response.json();
      if (number !== this.asked) return; // something newer is on its way
      // The server has escaped it, and the page's policy lets no inline script run.
      this.form.querySelector("[data-meters]").innerHTML = found.meters;
      this.form.querySelector("[data-report]").innerHTML = found.report;
      this.gutter.mark(found.lines);
      this.said.textContent = "";
      this.frame.draw();
    } catch {
      this.said.textContent = this.form.dataset.failed;
    }
  }

  linesOnPage() {
    const buttons = this.form.querySelectorAll('button.jump[data-part="body"][data-line]');
    const tone = (button) => ["bad", "attention", "unknown"].find((name) => button.closest(".finding").classList.contains(name));
    return [...buttons].map((button) => [Number(button.dataset.line), tone(button)]);
  }

  jump(button) {
    const { part, line, column, mark } = button.dataset;
    const field = part === "subject" || part === "preheader" ? this.form.elements[part] : this.area;
    field.focus();
    if (field === this.area && line) this.select(Number(line), Number(column || 1));
    else field.select();
    if (mark !== undefined) {
      this.form.elements.view.value = "html";
      this.frame.draw(mark);
    }
  }

  select(line, column) {
    const lines = this.area.value.split("\n");
    const before = lines.slice(0, line - 1).reduce((sum, text) => sum + text.length + 1, 0);
    const start = before + column - 1;
    this.area.setSelectionRange(start, Math.max(start, before + (lines[line - 1] ?? "").length));
    const height = Number.parseFloat(getComputedStyle(this.area).lineHeight);
    this.area.scrollTop = Math.max(0, (line - 6) * height);
    this.area.scrollLeft = 0;
  }
}

const draft = document.getElementById("draft");
if (draft) new Workbench(draft);
