// Comfort only: the page says everything without it.
"use strict";
(() => {
  const box = document.createElement("div");
  box.className = "tip";
  box.hidden = true;
  document.body.append(box);
  for (const title of document.querySelectorAll("svg title")) {
    title.parentNode.setAttribute("data-tip", title.textContent);
    title.remove();
  }
  document.addEventListener("pointermove", (event) => {
    const target = event.target instanceof Element ? event.target.closest("[data-tip]") : null;
    box.hidden = !target;
    if (!target) return;
    box.textContent = target.getAttribute("data-tip");
    const left = Math.min(event.clientX + 14, innerWidth - box.offsetWidth - 8);
    const above = event.clientY - box.offsetHeight - 12;
    box.style.left = Math.max(8, left) + "px";
    box.style.top = (above < 4 ? event.clientY + 18 : above) + "px";
  });
  document.addEventListener("pointerleave", () => { box.hidden = true; });
  for (const button of document.querySelectorAll("[data-toggle]")) {
    button.parentNode.classList.remove("with-script");
    button.addEventListener("click", () => {
      const all = document.querySelectorAll("#" + button.getAttribute("data-toggle") + " details");
      const open = [...all].some((one) => !one.open);
      for (const one of all) one.open = open;
      button.textContent = open ? "Close all" : "Open all";
    });
  }
})();
