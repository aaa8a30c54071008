(() => {
  const ways = JSON.parse(document.getElementById("way-data").textContent);
  const play = document.getElementById("way-play");
  const slider = document.getElementById("way-step");
  const at = document.getElementById("way-at");
  const chart = document.getElementById("way-iou");
  const last = Number(slider.max);
  const [left, right, low, high] = chart.dataset.x.split(" ").map(Number);
  const [top, bottom] = chart.dataset.y.split(" ").map(Number);
  const cursor = document.createElementNS("http://www.w3.org/2000/svg", "line");
  cursor.setAttribute("class", "cursor");
  cursor.setAttribute("y1", top);
  cursor.setAttribute("y2", bottom);
  chart.append(cursor);
  for (const part of [play, slider, at]) part.hidden = false;

  const show = (place) => {
    for (const arm of ["baseline", "icr"]) {
      const [x1, y1, x2, y2] = ways[arm][place];
      const box = document.getElementById("way-" + arm);
      for (const [name, value] of [["x", x1], ["y", y1], ["width", x2 - x1], ["height", y2 - y1]])
        box.setAttribute(name, Math.max(value, name === "width" || name === "height" ? 0 : value));
    }
    const x = left + ((place * ways.stride - low) / (high - low || 1)) * (right - left);
    cursor.setAttribute("x1", x);
    cursor.setAttribute("x2", x);
    slider.value = place;
    at.textContent = "step " + place * ways.stride;
  };

  let timer = null;
  const stop = () => { clearInterval(timer); timer = null; play.textContent = "Play"; };
  const start = () => {
    let place = Number(slider.value) >= last ? 0 : Number(slider.value);
    play.textContent = "Pause";
    timer = setInterval(() => { show(place); if (++place > last) stop(); }, 30);
  };
  play.addEventListener("click", () => (timer ? stop() : start()));
  slider.addEventListener("input", () => { stop(); show(Number(slider.value)); });
  show(Number(slider.value));
})();
