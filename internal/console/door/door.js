// A button with data-ask asks this server what to ask an authenticator, asks it,
// and sends the answer with the form that the button stands in. Where browsers
// know no passkeys the form stays hidden, and nothing is missed.
"use strict";

const known = window.PublicKeyCredential && PublicKeyCredential.parseRequestOptionsFromJSON && PublicKeyCredential.parseCreationOptionsFromJSON;

for (const button of document.querySelectorAll("button[data-ask]")) {
  const form = button.form, fault = form.querySelector("[data-fault]");
  if (!known || !window.isSecureContext) continue;
  form.hidden = false;
  button.addEventListener("click", async () => {
    fault.hidden = true;
    button.disabled = true;
    try {
      const said = await fetch(button.dataset.ask, {method: "POST", headers: {Accept: "application/json"}});
      if (!(said.headers.get("Content-Type") || "").startsWith("application/json")) {
        location.href = said.redirected ? said.url : location.href;
        return;
      }
      const {publicKey} = await said.json();
      const made = button.dataset.make
        ? await navigator.credentials.create({publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(publicKey)})
        : await navigator.credentials.get({publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(publicKey)});
      form.elements.answer.value = JSON.stringify(made.toJSON());
      form.submit();
    } catch {
      fault.hidden = false;
      fault.focus();
    } finally {
      button.disabled = false;
    }
  });
}

// A box with data-show lets one look at the passwords of its form.
for (const box of document.querySelectorAll("[data-show]")) {
  const fields = [...box.closest("form").querySelectorAll("input[type=password]")];
  box.hidden = false;
  box.querySelector("input").addEventListener("change", (e) => {
    for (const f of fields) f.type = e.target.checked ? "text" : "password";
  });
}
