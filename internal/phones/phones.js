// Keeps the page live. Without it every form works still, by a reload.
const { boot, live, still, stream } = document.body.dataset;
const phones = document.querySelector(".phones");
const tabs = document.querySelector(".tabs");
const status = document.querySelector(".status");
const retry = 5000; // milliseconds, once the server has refused the stream

// parsed returns the one element that html is.
function parsed(html) {
  const template = document.createElement("template");
  template.innerHTML = html.trim();
  return template.content.firstElementChild;
}

// merge makes the children of old those of fresh, but keeps each one that has
// the same key: a screen reader says, and the eye sees, only what is new. It
// returns what is new.
function merge(old, fresh) {
  const kept = new Map([...old.children].map((e) => [e.dataset.key, e]));
  const next = [...fresh.children].map((e) => kept.get(e.dataset.key) ?? e);
  [...old.children].filter((e) => !next.includes(e)).forEach((e) => e.remove());
  const added = next.filter((e) => e.parentNode !== old);
  next.forEach((e, i) => {
    if (old.children[i] !== e) old.insertBefore(e, old.children[i] ?? null);
  });
  added.forEach((e) => e.classList.add("fresh"));
  return added;
}

// show brings a handset up to date, or puts it on the table.
function show(fresh) {
  const old = document.getElementById(fresh.id);
  if (!old) {
    document.getElementById("another").before(fresh);
    addTab(fresh);
    seen.observe(fresh);
    return;
  }
  const part = (e, name) => e.querySelector(name);
  const hadFocus = part(old, ".chips").contains(document.activeElement);
  for (const name of ["h2", ".note"]) part(old, name).textContent = part(fresh, name).textContent;
  tabOf(old).textContent = part(fresh, "h2").textContent;
  const came = merge(part(old, ".thread"), part(fresh, ".thread"));
  merge(part(old, ".chips"), part(fresh, ".chips"));
  if (hadFocus && !old.contains(document.activeElement)) part(old, "[name=text]").focus();
  if (came.some((e) => e.classList.contains("theirs"))) ring(old);
}

function tabOf(handset) {
  return tabs.querySelector(`[href="#${handset.id}"]`);
}

function addTab(handset) {
  const tab = document.createElement("a");
  tab.className = "tab";
  tab.href = "#" + handset.id;
  tab.textContent = handset.querySelector("h2").textContent;
  tabs.lastElementChild.before(tab);
}

// ring shakes a handset, and marks its tab until it is looked at.
function ring(handset) {
  handset.classList.add("rings");
  handset.addEventListener("animationend", (e) => {
    if (e.target === handset) handset.classList.remove("rings");
  });
  if (!tabOf(handset).hasAttribute("aria-current")) tabOf(handset).classList.add("rings");
}

// On a narrow screen one handset is in view: its tab is the current one.
const seen = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    const tab = tabOf(target);
    if (!isIntersecting) {
      tab.removeAttribute("aria-current");
      continue;
    }
    tab.setAttribute("aria-current", "true");
    tab.classList.remove("rings");
    tabs.scrollTo({ left: tab.offsetLeft - tabs.clientWidth / 2 });
  }
}, { root: phones, threshold: 0.6 });
document.querySelectorAll(".handset").forEach((e) => seen.observe(e));

function follow() {
  const events = new EventSource(stream);
  const tell = (on) => {
    status.classList.toggle("on", on);
    status.textContent = on ? live : still;
  };
  events.onopen = () => tell(true);
  events.onerror = () => {
    tell(false);
    if (events.readyState === EventSource.CLOSED) setTimeout(follow, retry);
  };
  // The phones have other names once the server has been started anew.
  events.addEventListener("boot", (e) => {
    if (JSON.parse(e.data) !== boot) location.reload();
  });
  events.addEventListener("phone", (e) => show(parsed(JSON.parse(e.data))));
  events.addEventListener("ledger", (e) => {
    const old = document.getElementById("ledger");
    const fresh = parsed(JSON.parse(e.data));
    merge(old.querySelector(".transfers"), fresh.querySelector(".transfers"));
    old.querySelector(".balances").replaceWith(fresh.querySelector(".balances"));
  });
}
follow();

// send posts a form and returns the name of its phone, "" if it was refused.
async function send(form, fields) {
  const problem = (form.closest(".handset") ?? form).querySelector(".problem");
  problem.textContent = "";
  try {
    const answer = await fetch(form.action, { method: "POST", headers: { "Phones-Script": "1" }, body: fields });
    const said = await answer.text();
    if (answer.ok) return said;
    problem.textContent = said;
  } catch {
    problem.textContent = still;
  }
  return "";
}

document.addEventListener("submit", async (e) => {
  e.preventDefault();
  const form = e.target;
  const input = form.querySelector("input:not([type=hidden])");
  const sent = input?.value;
  const id = await send(form, new URLSearchParams(new FormData(form, e.submitter)));
  if (!id || !input) return;
  if (input.value === sent) input.value = "";
  if (form.id === "another") arrive(id);
});

// arrive goes to a handset as soon as it is on the table.
function arrive(id, tries = 20) {
  const handset = document.getElementById(id);
  if (handset) {
    handset.scrollIntoView({ inline: "center", block: "nearest" });
    handset.querySelector("[name=text]").focus({ preventScroll: true });
  } else if (tries > 0) {
    setTimeout(arrive, 100, id, tries - 1);
  }
}
