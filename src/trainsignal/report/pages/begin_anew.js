// The server, or the way to it, is gone. The page waits for it and begins anew: what it shows is old by then.
const notice = document.createElement("p");
notice.textContent = "the server is gone: waiting for it";
notice.setAttribute("role", "status");
notice.className = "lost";
document.body.append(notice);

async function begin_anew() {
  try {
    const answer = await fetch("favicon.ico", {cache: "no-store"});
    if (answer.ok) {
      location.reload();
      return;
    }
  } catch {
    // gone still
  }
  setTimeout(begin_anew, 1000);
}

begin_anew();
