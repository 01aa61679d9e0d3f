// What is unfolded stays so when the text is written anew: each <details> notes it on the element around it.
const view = cb_context.index.find_one(cb_obj);
for (const details of view?.shadow_el.querySelectorAll("details") ?? []) {
  details.open = details.dataset.name in view.el.dataset;
}
