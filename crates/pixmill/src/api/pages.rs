//! The dashboard: pages of this server's for people, each a handler and a template. All that they show comes from the
//! same records as the API's answers; every one of them works as links and forms alone.

mod act;
mod assets;
mod failures;
mod help;
mod hosts;
mod image;
mod images;
mod keys;
mod line;
mod live;
mod new;
mod report;
mod request;
mod requests;
mod savings;
mod session;
mod setup;
mod system;
mod text;
mod webhooks;
mod worst;

use std::collections::BTreeSet;
use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::{HeaderValue, StatusCode, header};
use pixmill_engine::code::Code;
use pixmill_engine::model::key::Role;
use url::{Host, Url, form_urlencoded};

use super::access::{self, Caller};
use super::answer;
use super::crowd::Kind;
use super::problem::{AsPage, Problem};
use super::{Api, openapi};

/// Most bytes of a form without files: a page of corrected addresses.
const MOST_FORM_BYTES: usize = 1 << 20;

/// Every page.
pub(super) fn routes(api: &Arc<Api>) -> Router<Arc<Api>> {
    let keyed = |kind| from_fn_with_state((api.clone(), kind), access::check);
    let pages = Router::new()
        .route("/requests", get(requests::show))
        .route("/requests/new", get(new::show))
        .route("/requests/{id}", get(request::show))
        .route("/requests/{id}/failures", get(failures::show).post(failures::correct))
        .route("/requests/{id}/images", get(images::show))
        .route("/requests/{id}/images/{image}", get(image::show))
        .route("/requests/{id}/worst", get(worst::show))
        .route("/requests/{id}/report", get(report::show))
        .route("/requests/{id}/cancel", post(act::cancel))
        .route("/requests/{id}/retry", post(act::retry))
        .route("/requests/{id}/delete", post(act::delete))
        .route("/savings", get(savings::show))
        .route("/hosts", get(hosts::show).post(hosts::order))
        .route("/system", get(system::show).post(system::look_again))
        .route("/workers", get(system::workers))
        .route("/keys", get(keys::show).post(keys::create))
        .route("/keys/{id}/revoke", post(keys::revoke))
        .route("/audit", get(keys::audit))
        .route("/webhooks", get(webhooks::show))
        .route("/webhooks/{id}/again", post(webhooks::again))
        .route("/webhooks/recover", post(webhooks::recover))
        .route("/sign-out", post(session::sign_out))
        .route_layer(from_fn_with_state(api.clone(), on_watch))
        .route_layer(keyed(Kind::Call));
    let uploads = Router::new()
        .route("/requests/new", post(new::create))
        .route("/requests/new/look", post(new::look))
        .route_layer(keyed(Kind::Upload));
    let streams =
        Router::new().route("/requests/{id}/live", get(live::watch)).route_layer(keyed(Kind::Stream));
    // Below a path, its root with and without a slash.
    let open = match api.base.as_str() {
        "" => Router::new(),
        base => Router::new().route(&format!("{base}/"), get(welcome)),
    };
    let open = open
        .route("/", get(welcome))
        .route("/sign-in", get(session::show).post(session::sign_in))
        .route("/help", get(help::to_first))
        .route("/help/", get(help::first))
        .route("/help/{*path}", get(help::show))
        .route("/llms.txt", get(help::index_for_programs))
        .route("/llms-full.txt", get(help::whole_for_programs))
        .route("/setup/{token}", get(setup::show).post(setup::make))
        .route("/assets/{version}/{name}", get(assets::show));
    let all = pages.merge(uploads).merge(streams).merge(open);
    let all = all.route_layer(from_fn_with_state(api.clone(), in_words));
    if is_trustworthy(&api.on.links) { all } else { all.route_layer(from_fn(without_what_is_not_heard)) }
}

/// Whether browsers take the address of this server for a safe one: https, or this machine.
fn is_trustworthy(links: &str) -> bool {
    let Ok(links) = Url::parse(links) else { return false };
    let here = match links.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    here || links.scheme() == "https"
}

/// Over plain http browsers pass over some headers, and say so on the console of each page.
async fn without_what_is_not_heard(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    for name in ["cross-origin-opener-policy", "clear-site-data"] {
        response.headers_mut().remove(name);
    }
    response
}

/// Where a page stands among the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Section {
    Requests,
    Savings,
    Webhooks,
    Hosts,
    System,
    None,
}

/// What every page has.
struct Page {
    /// What addresses of this server's begin with: nothing, or the path below which a proxy has it.
    base: String,
    title: String,
    section: Section,
    /// Who looks, and what they may do; nobody on pages that are open.
    caller: Option<Caller>,
    /// What was done, told once.
    notice: Option<String>,
    /// Images that wait while nobody works, and whether other programs may take them.
    stranded: u64,
    queue_is_shared: bool,
}

impl Page {
    fn of(api: &Api, caller: &Caller, section: Section, title: impl Into<String>) -> Self {
        Page {
            base: api.base.clone(),
            title: title.into(),
            section,
            caller: Some(caller.clone()),
            notice: None,
            stranded: api.vigil.stranded(),
            queue_is_shared: api.on.queue_is_shared,
        }
    }

    /// One that needs no key.
    fn open(api: &Api, title: &str) -> Self {
        Page {
            base: api.base.clone(),
            title: title.to_owned(),
            section: Section::None,
            caller: None,
            notice: None,
            stranded: 0,
            queue_is_shared: false,
        }
    }

    fn with_notice(self, notice: Option<String>) -> Self {
        Page { notice, ..self }
    }

    fn version(&self) -> &str {
        env!("CARGO_PKG_VERSION")
    }

    /// What addresses of styles and modules begin with.
    fn assets(&self) -> String {
        format!("{}/assets/{}", self.base, *assets::VERSION)
    }

    fn is_on(&self, section: &str) -> bool {
        matches!(
            (self.section, section),
            (Section::Requests, "requests")
                | (Section::Savings, "savings")
                | (Section::Webhooks, "webhooks")
                | (Section::Hosts, "hosts")
                | (Section::System, "system")
        )
    }

    /// A count as people read it.
    fn count(&self, number: &u64) -> String {
        text::count(*number)
    }

    /// The same of what is counted in memory.
    fn many(&self, number: &usize) -> String {
        text::count(*number as u64)
    }

    fn bytes(&self, number: &u64) -> String {
        text::bytes(*number)
    }

    /// An address without what may hold secrets.
    fn short(&self, address: &str) -> String {
        text::short(address)
    }

    /// Whether whoever looks may change something.
    fn may_act(&self) -> bool {
        self.caller.as_ref().is_some_and(|caller| caller.role >= Role::Submit)
    }

    /// Whether whoever looks is one of those who run the server.
    fn operates(&self) -> bool {
        self.caller.as_ref().is_some_and(Caller::operates)
    }

    /// Whether whoever looks may make keys, and say what is wanted of hosts.
    fn administers(&self) -> bool {
        self.caller.as_ref().is_some_and(|caller| caller.role >= Role::Admin)
    }

    /// Where whoever looks finds how the server is, or what of it they may see.
    fn system(&self) -> Option<&'static str> {
        match (self.operates(), self.administers()) {
            (true, _) => Some("/system"),
            (false, true) => Some("/keys"),
            (false, false) => None,
        }
    }

    /// What is told on every page while work waits that nobody does.
    fn alarm(&self) -> Option<String> {
        let waits = match self.stranded {
            0 => return None,
            1 => "1 image waits".to_owned(),
            many => format!("{} images wait", text::count(many)),
        };
        let unless =
            if self.queue_is_shared { " unless another program takes its job from the queue" } else { "" };
        Some(format!("No worker runs: nothing will move{unless}. {waits}."))
    }

    /// Whether somebody signed in, who may sign out.
    fn signed_in(&self) -> Option<String> {
        let caller = self.caller.as_ref()?;
        let name = caller.name.as_deref()?;
        Some(if name.is_empty() { caller.tenant.to_string() } else { name.to_owned() })
    }
}

/// A page, and what a browser may do with it.
fn show(status: StatusCode, page: &impl Template) -> Response {
    show_with(status, page, &BTreeSet::new())
}

/// The same with pictures of other origins.
fn show_with(status: StatusCode, page: &impl Template, pictures: &BTreeSet<String>) -> Response {
    let text = page.render().expect("text can be written");
    let mut response = answer::of(status, "text/html; charset=utf-8", Body::from(text));
    let pictures: String = pictures.iter().map(|origin| format!(" {origin}")).collect();
    let policy = format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'{pictures}; connect-src 'self'; \
         form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; \
         trusted-types default"
    );
    let headers = response.headers_mut();
    headers
        .extend(HeaderValue::from_str(&policy).ok().map(|policy| (header::CONTENT_SECURITY_POLICY, policy)));
    headers.insert("cross-origin-opener-policy", HeaderValue::from_static("same-origin"));
    // A form of a page that names no referrer comes from the origin "null", by which alone it is known over plain http.
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers.insert(header::VARY, HeaderValue::from_static("cookie"));
    response
}

/// Goes on at another page.
fn redirect(api: &Api, path: &str) -> Response {
    let mut response = StatusCode::SEE_OTHER.into_response();
    let place = HeaderValue::from_str(&format!("{}{path}", api.base));
    response.headers_mut().extend(place.ok().map(|place| (header::LOCATION, place)));
    response
}

/// The fields of a form.
async fn form(body: Body) -> Result<Vec<(String, String)>, Problem> {
    let whole = to_bytes(body, MOST_FORM_BYTES).await;
    let whole = whole
        .map_err(|_| Problem::new(Code::BodyTooLarge, format!("a form may have {MOST_FORM_BYTES} bytes")))?;
    Ok(form_urlencoded::parse(&whole).into_owned().collect())
}

fn field<'f>(pairs: &'f [(String, String)], name: &str) -> &'f str {
    pairs.iter().find(|(found, _)| found == name).map_or("", |(_, value)| value)
}

/// Text as it stands in a query.
fn in_query(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

#[derive(Template)]
#[template(path = "problem.html")]
struct Wrong {
    page: Page,
    status: u16,
    code: &'static str,
    detail: String,
    advice: &'static str,
}

/// Looks whether anybody works before a page tells of it, once it is known that its reader may see it.
async fn on_watch(State(api): State<Arc<Api>>, request: Request, next: Next) -> Response {
    if request.method().is_safe() {
        api.vigil.look(&api).await;
    }
    next.run(request).await
}

/// Problems as pages; whoever lacks a key is asked for it.
async fn in_words(State(api): State<Arc<Api>>, request: Request, next: Next) -> Response {
    let place = request.uri().path_and_query().map_or("/", |place| place.as_str()).to_owned();
    let is_get = request.method().is_safe();
    let mut response = next.run(request).await;
    let Some(problem) = response.extensions_mut().remove::<Problem>() else { return response };
    let (status, code) = (problem.status(), problem.code());
    let mut shown = if status == StatusCode::UNAUTHORIZED {
        session::ask(&api, if is_get { &place } else { "/requests" })
    } else {
        let page = Page::open(&api, "That did not work");
        let detail = problem.full_detail();
        show(
            status,
            &Wrong { page, status: status.as_u16(), code: code.as_str(), detail, advice: code.advice() },
        )
    };
    for (name, value) in response.headers() {
        if *name != header::CONTENT_LENGTH {
            shown.headers_mut().append(name, value.clone());
        }
    }
    if let Some(wait) = problem.retry_after() {
        shown.headers_mut().insert(header::RETRY_AFTER, wait);
    }
    shown.extensions_mut().insert(AsPage(code));
    shown
}

/// Says where to go on: browsers go to the requests, others read it.
async fn welcome(State(api): State<Arc<Api>>, request: Request) -> Response {
    let accepted = request.headers().get(header::ACCEPT).and_then(|accepted| accepted.to_str().ok());
    if accepted.is_some_and(|accepted| accepted.contains("text/html")) {
        return redirect(&api, "/requests");
    }
    openapi::welcome().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn https_and_this_machine_are_trustworthy() {
        for safe in
            ["https://shop.example/pixmill", "http://127.0.0.1:3000", "http://[::1]:3000", "http://localhost"]
        {
            assert!(is_trustworthy(safe), "{safe}");
        }
        for plain in
            ["http://shop.example", "http://10.0.0.5:3000", "http://localhost.shop.example", "elephant"]
        {
            assert!(!is_trustworthy(plain), "{plain}");
        }
    }
}
