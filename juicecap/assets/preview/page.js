"use strict";
const dialog = document.querySelector("dialog");
const large = dialog.querySelector("img");
const frames = [...document.querySelectorAll(".frames button")];
let at = 0;

function show(index) {
  at = index;
  const image = frames[at].querySelector("img");
  large.src = image.src;
  large.alt = image.alt;
  large.width = image.naturalWidth;
  large.height = image.naturalHeight;
  dialog.querySelector("p").textContent = image.alt;
  dialog.querySelector(".back").disabled = at === 0;
  dialog.querySelector(".on").disabled = at === frames.length - 1;
}

function step(by) {
  if (frames[at + by]) show(at + by);
}

frames.forEach((frame, index) => frame.addEventListener("click", () => { show(index); dialog.showModal(); }));
dialog.querySelector(".back").addEventListener("click", () => step(-1));
dialog.querySelector(".on").addEventListener("click", () => step(1));
dialog.querySelector(".close").addEventListener("click", () => dialog.close());
dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
dialog.addEventListener("keydown", (event) => {
  if (event.key === "ArrowLeft") step(-1);
  if (event.key === "ArrowRight") step(1);
});
dialog.addEventListener("close", () => frames[at].focus());
