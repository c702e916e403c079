/* What can be seen to be wrong with a page: contrast, sizes, and references that lead nowhere. Evaluated as it stands. */
(() => {
  const channels = (colour) => { const [r, g, b, a = 1] = colour.match(/[\d.]+/g).map(Number); return [r, g, b, a]; };
  const over = ([r, g, b, a], under) => [r, g, b].map((value, i) => value * a + under[i] * (1 - a));
  const light = (rgb) => rgb.map((v) => v / 255).map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const ratio = (a, b) => { const [x, y] = [light(a), light(b)].sort((p, q) => q - p); return (x + 0.05) / (y + 0.05); };
  const behind = (element) => {
    if (!element) return channels(getComputedStyle(document.body).backgroundColor);
    const colour = channels(getComputedStyle(element).backgroundColor);
    return colour[3] === 1 ? colour : over(colour, behind(element.parentElement));
  };
  const bad = [];
  const seen = [...document.querySelectorAll("body *")].filter((e) =>
    e.checkVisibility({ opacityProperty: true, visibilityProperty: true }) && !e.closest(".unseen, .skip, svg")
    && !(document.querySelector("dialog[open]") && !e.closest("dialog")));
  for (const e of seen) {
    const style = getComputedStyle(e);
    const name = `${e.tagName.toLowerCase()}#${e.id}.${e.className}`;
    const field = e.matches("input:not([type=radio], [type=checkbox], [type=range]), textarea, select");
    const wordy = field || [...e.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    const under = behind(e);
    let fade = 1;
    for (let up = e; up; up = up.parentElement) fade *= Number(getComputedStyle(up).opacity);
    const shown = (colour) => over([...channels(colour).slice(0, 3), channels(colour)[3] * fade], under);
    if (wordy && !e.matches(":disabled")) {
      if (ratio(shown(style.color), under) < 4.5) bad.push(`${name}: text ${ratio(shown(style.color), under).toFixed(2)}`);
      if (e.placeholder) {
        const hint = getComputedStyle(e, "::placeholder");
        if (ratio(shown(hint.color), under) < 4.5) bad.push(`${name}: placeholder`);
      }
    }
    if (field && style.borderTopStyle !== "none" && channels(style.borderTopColor)[3] === 1
        && ratio(channels(style.borderTopColor), behind(e.parentElement)) < 3) bad.push(`${name}: edge`);
    const box = e.getBoundingClientRect();
    if (e.matches("button, select, input:not([type=radio], [type=checkbox]), summary") && !e.matches(".link")
        && Math.min(box.width, box.height) < 24) bad.push(`${name}: ${box.width}x${box.height} is small`);
  }
  const ids = [...document.querySelectorAll("[id]")].map(({ id }) => id);
  bad.push(...ids.filter((id, i) => ids.indexOf(id) !== i).map((id) => `#${id} twice`));
  for (const e of document.querySelectorAll("[aria-labelledby], [aria-describedby], label[for]")) {
    for (const id of `${e.getAttribute("aria-labelledby") ?? ""} ${e.getAttribute("aria-describedby") ?? ""} ${e.htmlFor ?? ""}`.split(" ")) {
      if (id && !document.getElementById(id)) bad.push(`${id} is referred to and not there`);
    }
  }
  if (!document.documentElement.lang || !document.title || document.querySelectorAll("h1").length !== 1) bad.push("no language, title or heading");
  return bad;
})()
