"use strict";
{
  const figures = JSON.parse(document.getElementById("figures").textContent);
  const options = { displayModeBar: false, displaylogo: false, responsive: true };
  const mouse = matchMedia("(pointer: fine)").matches;

  // A place that is hidden has no width: it is drawn when it is first shown.
  const draw = (root) => {
    for (const place of root.querySelectorAll(".chart")) {
      if (place.offsetWidth === 0) continue;
      if (place.data) {
        Plotly.Plots.resize(place);
        continue;
      }
      const figure = figures[place.id];
      figure.layout.dragmode = mouse ? "zoom" : false;
      Plotly.newPlot(place, figure.data, figure.layout, options);
    }
  };

  for (const choice of document.querySelectorAll("input[name=metric]")) {
    choice.addEventListener("change", () => {
      for (const group of document.querySelectorAll("[data-metric]")) {
        group.hidden = group.dataset.metric !== choice.value;
      }
      draw(document);
    });
  }

  const table = document.getElementById("table");
  if (table) {
    const body = table.tBodies[0];
    const heads = [...table.tHead.rows[1].cells];
    const compare = (one, other) => {
      if (one === other) return 0;
      if (one === "" || other === "") return NaN;
      const [left, right] = [Number(one), Number(other)];
      if (!Number.isNaN(left) && !Number.isNaN(right)) return left - right;
      return one.localeCompare(other, "en", { numeric: true });
    };
    const sort = (column) => {
      const rising = heads[column].getAttribute("aria-sort") !== "ascending";
      const order = (row) => row.cells[column].dataset.order;
      const rows = [...body.rows].sort((one, other) => {
        const difference = compare(order(one), order(other));
        if (Number.isNaN(difference)) return order(one) === "" ? 1 : -1;
        return rising ? difference : -difference;
      });
      for (const head of heads) head.setAttribute("aria-sort", "none");
      heads[column].setAttribute("aria-sort", rising ? "ascending" : "descending");
      body.append(...rows);
    };
    heads.forEach((head, column) => {
      head.querySelector("button").addEventListener("click", () => sort(column));
    });

    document.getElementById("filter").addEventListener("input", (event) => {
      const wanted = event.target.value.trim().toLowerCase();
      for (const row of body.rows) row.hidden = !row.textContent.toLowerCase().includes(wanted);
    });
  }

  // Paper is narrower than most windows, and a drawing does not shrink by itself.
  const fit = (printed) => {
    document.body.classList.toggle("paper", printed);
    for (const place of document.querySelectorAll(".chart")) {
      if (!place.data || place.offsetWidth === 0) continue;
      const size = printed ? { width: place.clientWidth } : { width: null, autosize: true };
      Plotly.relayout(place, size);
    }
  };
  addEventListener("beforeprint", () => fit(true));
  addEventListener("afterprint", () => fit(false));
  draw(document);
}
