"use strict";
(() => {
  const first = 500, last = 2000, growth = 1.1, patience = 5000; // ms, ms, factor, ms
  const poll = document.querySelector("main").dataset.poll;
  const lost = document.getElementById("lost"); // null on a visitor's page
  const waited = document.getElementById("waited");

  const check = async (delay) => {
    try {
      const answer = await fetch(poll, { cache: "no-store", signal: AbortSignal.timeout(patience) });
      if (lost) lost.hidden = true;
      if (answer.ok && (await answer.text()).trim() === "up") {
        location.reload();
        return;
      }
    } catch {
      if (lost) lost.hidden = false;
    }
    later(Math.min(last, delay * growth));
  };
  const later = (delay) => setTimeout(check, delay, delay);
  later(first);

  if (waited) {
    // From the clock, since timers of a page in the background fire late.
    const start = Date.now() - waited.dataset.seconds * 1000;
    setInterval(() => {
      const n = Math.floor((Date.now() - start) / 1000);
      waited.textContent = n < 60 ? `${n} s` : `${Math.floor(n / 60)} min ${n % 60} s`;
    }, 1000);
  }
})();
