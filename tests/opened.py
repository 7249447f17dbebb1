"""A page of a run, opened in a real browser."""

from pathlib import Path

from playwright.sync_api import Browser, Dialog, Page

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)


class Opened:
    """A page in the browser, with everything that it asked for, said or popped up."""

    def __init__(self, browser: Browser, path: Path, width: int = 1280) -> None:
        self.path = path
        self.page: Page = browser.new_page(viewport={"width": width, "height": 900})
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", self._refuse)
        self.page.goto(path.as_uri())

    def _refuse(self, dialog: Dialog) -> None:
        self.complaints.append(f"dialog {dialog.message}")
        dialog.dismiss()

    def drawn(self) -> list[str]:
        """The visible charts, once each of them has a drawing with a size and with marks in it."""
        return self.page.wait_for_function(
            """() => {
                const shown = [...document.querySelectorAll(".chart")].filter((p) => p.offsetWidth);
                const done = shown.filter((place) => {
                    const box = place.querySelector("svg.main-svg")?.getBoundingClientRect();
                    const marks = place.querySelectorAll(".heatmaplayer image, .trace path").length;
                    return box && box.width && box.height && marks;
                });
                return done.length && done.length === shown.length && done.map((p) => p.id);
            }"""
        ).json_value()

    def hovered(self, chart: str, row: float, column: float) -> str:
        """The label over a place of a chart, given as shares of its height and width."""
        area = self.page.locator(f"#{chart} .nsewdrag")
        area.scroll_into_view_if_needed()
        box = area.bounding_box()
        assert box is not None
        label = self.page.locator(f"#{chart} .hoverlayer .hovertext")
        self.page.mouse.move(0, 0)
        label.wait_for(state="detached")  # that of the place before, on a busy machine
        self.page.mouse.move(box["x"] + column * box["width"], box["y"] + row * box["height"])
        label.wait_for()
        return label.evaluate(
            "(label) => [...label.querySelectorAll('tspan')].map(t => t.textContent).join('|')"
        )

    def column(self, number: int) -> list[str]:
        """The cells of a column of the table of trials, from top to bottom."""
        return self.page.locator(f"#table tbody tr > :nth-child({number + 1})").all_inner_texts()

    def in_order(self) -> None:
        """Nothing but the file was asked for, and the browser had nothing to complain about."""
        assert self.requests == [self.path.as_uri()]
        assert self.complaints == []
