"""What a machine can check of a page's accessibility, run in the page."""

from __future__ import annotations

# Rules of WCAG that a machine can check, without a library: what each finds must be nothing.
RULES = r"""
const wrong = [];
const visible = (one) => one.checkVisibility({ visibilityProperty: true });
const name = (one) => (one.getAttribute('aria-label')
  || (one.getAttribute('aria-labelledby') || '').split(' ').filter(Boolean)
      .map((id) => document.getElementById(id)?.textContent ?? '').join(' ')
  || [...(one.labels ?? [])].map((label) => label.textContent).join(' ')
  || one.textContent || '').trim();
for (const one of document.querySelectorAll('button, a[href], input, select, [tabindex], summary'))
  if (visible(one) && !name(one)) wrong.push(['no name', one.outerHTML.slice(0, 120)]);
for (const one of document.querySelectorAll('[tabindex]'))
  if (one.tabIndex > 0) wrong.push(['positive tabindex', one.outerHTML.slice(0, 120)]);
const ids = [...document.querySelectorAll('[id]')].map((one) => one.id);
for (const id of ids) if (ids.indexOf(id) !== ids.lastIndexOf(id)) wrong.push(['twice', id]);
for (const one of document.querySelectorAll('canvas'))
  if (!one.hasAttribute('aria-label') && one.getAttribute('aria-hidden') !== 'true')
    wrong.push(['canvas without words', one.outerHTML]);
for (const one of document.querySelectorAll('ul > :not(li), dl > :not(div)'))
  wrong.push(['not an item', one.outerHTML.slice(0, 120)]);
const channel = (v) => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
const rgba = (text) => [...text.match(/[\d.]+/g).map(Number), 1].slice(0, 4);
const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
const ground = (one) => {
  for (let up = one; up; up = up.parentElement) {
    const colour = rgba(getComputedStyle(up).backgroundColor);
    if (colour[3] === 1) return colour;
  }
  return [255, 255, 255, 1];
};
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
let checked = 0;
while (walker.nextNode()) {
  const one = walker.currentNode.parentElement;
  if (!walker.currentNode.data.trim() || !visible(one)) continue;
  if (one.closest('script, style, svg, .plot')) continue;
  const style = getComputedStyle(one);
  const [a, b] = [light(rgba(style.color)), light(ground(one))];
  const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  const size = parseFloat(style.fontSize);
  const least = size >= 24 || (size >= 18.66 && style.fontWeight >= 700) ? 3 : 4.5;
  if (ratio < least) wrong.push(['contrast', ratio.toFixed(2), one.outerHTML.slice(0, 120)]);
  checked += 1;
}
if (checked < 30) wrong.push(['too little text', checked]);
return wrong;
"""
