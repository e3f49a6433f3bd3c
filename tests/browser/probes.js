// The looks of probes.py, run inside the page. Each answers with lines that name what is wrong.

const named = (element) => `${element.tagName.toLowerCase()}.${element.className}`;
const shown = (element) => element.getClientRects().length > 0 && !element.closest(".visually-hidden, dialog:not([open])");

async function runAxe(tags) {
  const found = await axe.run(document, { runOnly: tags, resultTypes: ["violations"] });
  const places = (nodes) => nodes.slice(0, 3).map((node) => node.html.slice(0, 200));
  return found.violations.map((one) => `${one.id}: ${places(one.nodes).join(" | ")}`);
}

// What reaches further to the right than the window: nobody would scroll there. What scrolls inside a box of its own
// (a table, a wide picture) is not meant.
function overflow() {
  const wide = document.documentElement.clientWidth;
  const scrolls = (element) => {
    for (let box = element.parentElement; box; box = box.parentElement) {
      if (["auto", "scroll"].includes(getComputedStyle(box).overflowX)) return true;
    }
    return false;
  };
  const out = [];
  for (const element of document.querySelectorAll("body *")) {
    if (!shown(element) || element.closest("svg, .skip") || scrolls(element)) continue;
    const { left, right } = element.getBoundingClientRect();
    if (right > wide + 1 || left < -1) out.push(`${named(element)} from ${Math.round(left)} to ${Math.round(right)} of ${wide}`);
  }
  const whole = document.documentElement.scrollWidth;
  if (whole > wide) out.push(`the page is ${whole} wide in a window of ${wide}`);
  return out.slice(0, 8);
}

// Words cut off by the box they stand in, unless the cut is meant (ellipsis, clamp) or the box scrolls.
function clipped() {
  const out = [];
  for (const element of document.querySelectorAll("body *")) {
    if (!shown(element) || element.closest("svg")) continue;
    const style = getComputedStyle(element);
    const hides = [style.overflowX, style.overflowY].some((way) => way === "hidden" || way === "clip");
    if (element.clientWidth < 3) continue; // drawn for screen readers alone
    if (!hides || style.textOverflow === "ellipsis" || style.webkitLineClamp !== "none") continue;
    if (element.scrollWidth > element.clientWidth + 1 || element.scrollHeight > element.clientHeight + 1) {
      out.push(`${named(element)}: ${element.textContent.trim().slice(0, 60)}`);
    }
  }
  return out.slice(0, 8);
}

// Links inside a sentence may be as small as the sentence (WCAG 2.5.8); everything else is for fingers.
function smallTargets(least) {
  const out = [];
  const wanted = "a[href], button, input, select, textarea, summary, [role=button], [role=tab]";
  for (const element of document.querySelectorAll(wanted)) {
    if (!shown(element) || element.matches(".skip, [type=hidden], .visually-hidden")) continue;
    if (element.tagName === "A" && getComputedStyle(element).display === "inline") continue;
    const label = element.labels?.[0];
    const ticks = ["checkbox", "radio", "file"].includes(element.type) && label ? label : element;
    const { width, height } = ticks.getBoundingClientRect();
    if (width < least - 0.5 || height < least - 0.5) {
      out.push(`${Math.round(width)}x${Math.round(height)} ${element.outerHTML.slice(0, 120)}`);
    }
  }
  return out.slice(0, 8);
}

function focused() {
  const element = document.activeElement;
  if (!element || element === document.body) return null;
  const drawn = ({ outlineStyle, outlineWidth }) => outlineStyle !== "none" && parseFloat(outlineWidth) >= 2;
  // A box around several parts may draw the focus for the one inside that has it.
  const around = [element, element.parentElement, element.parentElement?.parentElement, element.closest("label")];
  const boxes = around.filter(Boolean).flatMap((box) => [getComputedStyle(box), getComputedStyle(box, "::after")]);
  const { left, top, width, height } = element.getBoundingClientRect();
  const inside = (value, most) => Math.min(Math.max(value, 0), most - 1);
  const middle = document.elementFromPoint(inside(left + width / 2, innerWidth), inside(top + height / 2, innerHeight));
  const words = element.getAttribute("aria-label") || element.innerText || element.id || element.tagName;
  return {
    name: words.trim().slice(0, 60),
    tag: element.tagName.toLowerCase(),
    seen: element.tagName === "IFRAME" || boxes.some(drawn),
    covered: Boolean(middle) && !element.contains(middle) && !middle.contains(element) && !middle.closest("label"),
  };
}

// Back to the top, whatever had the focus: the next Tab goes to the first stop.
function rewind() {
  const start = document.createElement("span");
  start.tabIndex = -1;
  document.body.prepend(start);
  start.focus();
  start.onblur = () => start.remove();
  scrollTo(0, 0);
}

window.probes = { runAxe, overflow, clipped, smallTargets, focused, rewind };
