// The order that a reader chose stays when the table is written anew.
const view = cb_context.index.find_one(cb_obj);
const [column, order] = view?.el.dataset.sorted?.split(" ") ?? [];
const button = view?.shadow_el.querySelectorAll("th button")[column];
button?.click();
if (order === "descending") button?.click();
