//! The routes. `r0` is an alias of `v3`.

use std::time::Duration;

use axum::Router;
use axum::routing::{get, post, put};
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method};
use tower_http::cors::{AllowOrigin, CorsLayer};

use super::{account, login, media, profile, read, rooms, send, stubs, sync};
use crate::problem::{Kind, Problem};
use crate::state::AppState;

/// All of them; none when the facade is off.
pub(crate) fn router(state: &AppState) -> Router<AppState> {
    let Some(matrix) = &state.matrix else { return Router::new() };
    let router = Router::new()
        .route("/.well-known/matrix/client", get(stubs::well_known))
        .route("/_matrix/client/versions", get(stubs::versions))
        .nest("/_matrix/client/v3", client())
        .nest("/_matrix/client/r0", client())
        .nest("/_matrix/client/v1/media", media())
        .nest("/_matrix/media/v3", old_media(matrix.open_media))
        .nest("/_matrix/media/r0", old_media(matrix.open_media))
        .nest("/_matrix/media/v1", old_media(matrix.open_media));
    if matrix.allowed_origins.is_empty() {
        return router;
    }
    let origins = matrix.allowed_origins.iter().filter_map(|text| HeaderValue::try_from(text).ok());
    let cors = CorsLayer::new()
        .allow_origin(AllowOrigin::list(origins))
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::DELETE])
        .allow_headers([AUTHORIZATION, CONTENT_TYPE])
        .max_age(Duration::from_hours(1));
    // Otherwise the one that comes later would not be behind the layer, and answer what browsers ask.
    router.method_not_allowed_fallback(async || Problem::new(Kind::MethodNotAllowed)).layer(cors)
}

fn client() -> Router<AppState> {
    account_routes().merge(room_routes()).merge(stub_routes())
}

fn account_routes() -> Router<AppState> {
    Router::new()
        .route("/login", get(login::flows).post(login::login))
        .route("/logout", post(login::logout))
        .route("/logout/all", post(login::logout_all))
        .route("/account/whoami", get(account::whoami))
        .route("/user/{user}/filter", post(account::put_filter))
        .route("/user/{user}/filter/{id}", get(account::get_filter))
        .route("/user/{user}/account_data/{type}", get(account::get_own).put(account::put_own))
        .route(
            "/user/{user}/rooms/{room}/account_data/{type}",
            get(account::get_in_room).put(account::put_in_room),
        )
        .route("/profile/{user}", get(profile::whole))
        .route("/profile/{user}/{field}", get(profile::get).put(profile::put))
        .route("/sync", get(sync::sync))
}

fn room_routes() -> Router<AppState> {
    let state = || get(read::state_event).put(send::put_state);
    let keyed = get(read::keyed_state_event).put(send::put_keyed_state);
    Router::new()
        .route("/createRoom", post(rooms::create))
        .route("/join/{room}", post(rooms::join))
        .route("/joined_rooms", get(read::joined_rooms))
        .route("/rooms/{room}/join", post(rooms::join))
        .route("/rooms/{room}/leave", post(rooms::leave))
        .route("/rooms/{room}/forget", post(rooms::forget))
        .route("/rooms/{room}/invite", post(rooms::invite))
        .route("/rooms/{room}/kick", post(rooms::kick))
        .route("/rooms/{room}/ban", post(rooms::kick))
        .route("/rooms/{room}/unban", post(rooms::unban))
        .route("/rooms/{room}/send/{type}/{txn}", put(send::send))
        .route("/rooms/{room}/redact/{event}/{txn}", put(send::redact))
        .route("/rooms/{room}/typing/{user}", put(rooms::typing))
        .route("/rooms/{room}/receipt/{type}/{event}", post(rooms::receipt))
        .route("/rooms/{room}/read_markers", post(rooms::markers))
        .route("/rooms/{room}/joined_members", get(read::joined_members))
        .route("/rooms/{room}/members", get(read::members))
        .route("/rooms/{room}/messages", get(read::messages))
        .route("/rooms/{room}/event/{event}", get(read::event))
        .route("/rooms/{room}/context/{event}", get(read::context))
        .route("/rooms/{room}/state", get(read::state))
        .route("/rooms/{room}/state/{type}", state())
        .route("/rooms/{room}/state/{type}/", state())
        .route("/rooms/{room}/state/{type}/{key}", keyed)
        .route("/rooms/{room}/aliases", get(stubs::aliases))
}

fn stub_routes() -> Router<AppState> {
    Router::new()
        .route("/pushrules", get(stubs::push_rules))
        .route("/pushrules/", get(stubs::push_rules))
        .route("/capabilities", get(stubs::capabilities))
        .route("/keys/upload", post(stubs::upload_keys))
        .route("/keys/query", post(stubs::query_keys))
        .route("/keys/claim", post(stubs::claim_keys))
        .route("/keys/changes", get(stubs::changed_keys))
        .route("/sendToDevice/{type}/{txn}", put(stubs::nothing))
        .route("/devices", get(stubs::devices))
        .route("/devices/{id}", get(stubs::one_device))
        .route("/presence/{user}/status", get(stubs::presence).put(stubs::nothing))
        .route("/voip/turnServer", get(stubs::nothing))
        .route("/directory/room/{alias}", get(stubs::no_alias))
}

fn old_media(open: bool) -> Router<AppState> {
    let upload = Router::new().route("/upload", post(media::upload));
    if !open {
        return upload.merge(media());
    }
    upload
        .route("/config", get(media::config))
        .route("/download/{server}/{id}", get(media::open_download))
        .route("/download/{server}/{id}/{name}", get(media::open_download_named))
        .route("/thumbnail/{server}/{id}", get(media::open_download))
}

fn media() -> Router<AppState> {
    Router::new()
        .route("/config", get(media::config))
        .route("/download/{server}/{id}", get(media::download))
        .route("/download/{server}/{id}/{name}", get(media::download_named))
        .route("/thumbnail/{server}/{id}", get(media::download))
}
