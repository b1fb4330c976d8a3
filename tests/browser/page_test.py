"""Steps through the pages that page_samples writes, in headless Chromium.

usage: page_test.py PAGE_SAMPLES FOLDER

Compares the numbers shown with those of the program, checks that nothing is requested and nothing logged, and leaves
screenshots in the folder.
"""
import json
import pathlib
import shutil
import subprocess
import sys

try:
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys
    from selenium.webdriver.support.wait import WebDriverWait
except ImportError:
    sys.exit(print("skipped: there is no python3-selenium"))

DRIVER = shutil.which("chromedriver")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DESKTOP, PHONE = (1440, 900), (390, 844)


class Page:
    """A page in the browser."""

    def __init__(self, folder):
        self.folder = folder
        options = webdriver.ChromeOptions()
        options.binary_location = CHROMIUM
        for flag in ["headless=new", "no-sandbox", "disable-dev-shm-usage", "hide-scrollbars"]:
            options.add_argument("--" + flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        self.driver = webdriver.Chrome(service=Service(DRIVER), options=options)
        self.view()

    def view(self, size=DESKTOP, scheme="light"):
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
            "width": size[0], "height": size[1], "deviceScaleFactor": 2 if size == PHONE else 1, "mobile": size == PHONE})
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {
            "features": [{"name": "prefers-color-scheme", "value": scheme}]})

    def open(self, name, step=None):
        self.driver.get("about:blank")
        self.driver.get((self.folder / name).as_uri() + (f"#step-{step}" if step else ""))

    def press(self, *keys):
        ActionChains(self.driver).send_keys(*keys).perform()

    def find(self, selector):
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def run(self, script):
        return self.driver.execute_script("return " + script)

    def step(self):
        return int(self.find("#count").text.split(" / ")[0])

    def shoot(self, name):
        self.driver.save_screenshot(str(self.folder / f"{name}.png"))

    def numbers(self):
        """The numbers shown, by name and index."""
        return dict(self.run("""[...document.querySelectorAll("#step > :not(details) td")].map(cell =>
            [cell.closest(".card").dataset.name + cell.dataset.index, cell.dataset.value])"""))

    def check_fits(self):
        """Nothing sticks out of the window, and no two texts of the graph or buttons lie on each other."""
        assert self.run("document.documentElement.scrollWidth <= innerWidth"), "wider than the window"
        overlapping = self.run("""(boxes => boxes.filter((a, i) => boxes.some((b, k) => k > i && a.left < b.right - 1 &&
            b.left < a.right - 1 && a.top < b.bottom - 1 && b.top < a.bottom - 1)).length)(
            [...document.querySelectorAll("nav button, .node > rect:last-of-type")].filter(each => each.closest("nav") ||
            innerWidth > 700).map(each => each.getBoundingClientRect()))""")
        assert overlapping == 0, f"{overlapping} overlap"

    def check_contrast(self):
        """All texts but those of disabled buttons stand out from what is behind them as WCAG's level AA asks for."""
        worst = self.run("""(() => {
            const canvas = new OffscreenCanvas(1, 1).getContext("2d", {willReadFrequently: true});
            const pixel = color => {
              canvas.clearRect(0, 0, 1, 1);
              canvas.fillStyle = color;
              canvas.fillRect(0, 0, 1, 1);
              return [...canvas.getImageData(0, 0, 1, 1).data];
            };
            const luminance = color => pixel(color).slice(0, 3).map(c => c / 255)
                .map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
                .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
            const behind = element => {
              const color = getComputedStyle(element).backgroundColor;
              return pixel(color)[3] === 255 || !element.parentElement ? color : behind(element.parentElement);
            };
            const texts = [...document.querySelectorAll("body *")].filter(each => !each.closest("svg, script, :disabled") &&
                each.checkVisibility() && [...each.childNodes].some(node => node.nodeType === 3 && node.data.trim()));
            return texts.map(each => {
              const [low, high] = [luminance(getComputedStyle(each).color), luminance(behind(each))].sort((a, b) => a - b);
              return [(high + 0.05) / (low + 0.05), each.textContent];
            }).sort((a, b) => a[0] - b[0])[0];
          })()""")
        assert worst[0] >= 4.5, worst

    def check_quiet(self):
        """Nothing was logged, and nothing but the pages themselves was asked for."""
        assert not (log := self.driver.get_log("browser")), log
        events = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        urls = {event["params"]["request"]["url"].split("#")[0] for event in events
                if event["method"] == "Network.requestWillBeSent"}
        allowed = {path.as_uri() for path in self.folder.glob("*.html")} | {"about:blank", "data:,"}
        assert urls and urls <= allowed, urls - allowed


def walk(page, steps):
    """All steps by keyboard; yields the number of each."""
    page.press(Keys.HOME)
    for step in range(1, steps + 1):
        assert page.step() == step, (page.step(), step)
        assert page.run("document.querySelectorAll('.node.now').length") == 1
        assert page.find("#step .formula math").size["height"] > 0
        yield step
        page.press(Keys.ARROW_RIGHT)
    assert page.step() == steps
    WebDriverWait(page.driver, 10).until(lambda _: page.run("location.hash") == f"#step-{steps}")


def test_numbers(page):
    page.open("mlp.html")
    expected = dict(line.split("\t") for line in (page.folder / "mlp.txt").read_text().splitlines())
    seen = set()
    for _ in walk(page, 8):
        shown = page.numbers()
        assert shown
        for name, value in shown.items():
            shown_value, true_value = float(value.replace("−", "-")), float(expected[name])
            assert abs(shown_value - true_value) <= 1e-5 * abs(true_value) + 1e-12, (name, value, expected[name])
        seen |= set(shown)
    assert seen == set(expected), set(expected) - seen


def test_controls(page):
    page.open("mlp.html", step=3)
    assert page.step() == 3
    page.press("b")
    assert page.step() == 6 and page.find("#backward").get_attribute("aria-pressed") == "true"
    page.press("b")
    assert page.step() == 3
    page.press(Keys.END)
    assert page.step() == 8 and not page.find("#next").is_enabled()
    page.press(Keys.ARROW_LEFT)
    assert page.step() == 7
    page.press(Keys.HOME)
    assert page.step() == 1 and not page.find("#first").is_enabled()
    for button, step in [("next", 2), ("last", 8), ("previous", 7), ("forward", 2), ("backward", 7), ("first", 1)]:
        page.find("#" + button).click()
        assert page.step() == step, (button, page.step())
    page.find("#slider").click()
    middle = page.step()
    assert middle in (4, 5)
    page.press(Keys.ARROW_RIGHT)  # in the slider
    assert page.step() == middle + 1
    page.run("document.activeElement.blur()")
    page.find(".node[href='#step-7']").click()
    assert page.step() == 7
    page.press(Keys.HOME, " ")
    WebDriverWait(page.driver, 10).until(lambda _: page.step() == 2)
    assert page.find("#play").get_attribute("aria-label") == "Pause"
    page.press(" ")
    assert page.find("#play").get_attribute("aria-label") == "Play"
    page.find("#theme").click()
    assert page.run("getComputedStyle(document.body).backgroundColor") == "rgb(15, 18, 22)"


def test_matrix(page):
    page.open("mlp.html")
    table = page.find("#step table")
    page.run("document.querySelector('#step table').focus()")
    page.press(Keys.ARROW_DOWN, Keys.ARROW_RIGHT, Keys.ARROW_DOWN)
    assert page.step() == 1 and page.find("#tip").text.startswith("v1[1, 1] = "), page.find("#tip").text
    page.press(Keys.ESCAPE, Keys.ESCAPE)
    assert not page.find("#tip").is_displayed()
    ActionChains(page.driver).move_to_element(table.find_element(By.CSS_SELECTOR, "td")).perform()
    assert page.find("#tip").text.startswith("v1[0, 0] = "), page.find("#tip").text
    page.find("summary").click()
    WebDriverWait(page.driver, 10).until(lambda driver: len(driver.find_elements(By.CSS_SELECTOR, ".opened li")) == 8)
    page.shoot("mlp-opened")


def test_labels(page):
    page.open("mlp.html")
    missing = page.run("""[...document.querySelectorAll("button, input, table, section, nav")]
        .filter(each => !(each.getAttribute("aria-label") || each.textContent.trim())).length""")
    assert missing == 0
    page.run("document.activeElement.blur()")
    order = []
    for _ in range(6):
        page.press(Keys.TAB)
        order.append(page.run("document.activeElement.id"))
    assert order == ["theme", "play", "next", "last", "slider", "forward"], order
    assert "relu(hidden(x))" in page.find("#source [aria-current] code").text
    assert page.find("#announcement").get_attribute("aria-live") == "polite"


def test_hostile_names(page):
    page.open("hostile.html")
    for _ in walk(page, 8):
        assert page.run("document.title").startswith("Derivation of WWW")
        assert page.run("document.querySelectorAll('img, main script').length") == 0
    for size in (DESKTOP, PHONE):
        page.view(size)
        page.check_fits()
    page.view()
    page.shoot("hostile")


def test_large(page):
    page.open("transformer.html")
    steps = int(page.find("#slider").get_attribute("max"))
    assert steps > 200 and page.run("document.querySelectorAll('.node.group').length") == 4  # three blocks and the head
    slowest = page.run("""(() => {
        let slowest = 0;
        for (let step = 1; step <= stepCount; ++step) {
          const start = performance.now();
          show(step);
          document.body.offsetHeight;
          slowest = Math.max(slowest, performance.now() - start);
        }
        return slowest;
      })()""")
    print(f"transformer: {steps} steps, the slowest takes {slowest:.0f} ms")
    assert slowest < 1000
    page.find(".node.group").click()
    assert page.step() > steps / 2  # still backward
    for step, scheme in [(19, "light"), (steps // 2, "light"), (200, "dark")]:
        page.view(scheme=scheme)
        page.open("transformer.html", step)
        page.check_fits()
        page.shoot(f"transformer-{step}-{scheme}")


def test_pictures(page):
    for scheme in ["light", "dark"]:
        for size, device in [(DESKTOP, "desktop"), ((820, 1100), "tablet"), (PHONE, "phone")]:
            page.view(size, scheme)
            for step in [1, 4, 6, 8]:
                page.open("mlp.html", step)
                page.check_fits()
                page.check_contrast()
                page.shoot(f"mlp-{step}-{device}-{scheme}")
    page.view()


def main():
    if not (DRIVER and CHROMIUM):
        return print("skipped: there is no chromium with a chromedriver")
    samples, folder = sys.argv[1], pathlib.Path(sys.argv[2]).resolve()
    print(subprocess.check_output([samples, folder], text=True), end="")
    page = Page(folder)
    try:
        for test in [test_numbers, test_controls, test_matrix, test_labels, test_hostile_names, test_large, test_pictures]:
            print(test.__name__, flush=True)
            test(page)
            page.check_quiet()
            page.view()
    finally:
        page.driver.quit()


if __name__ == "__main__":
    main()
