//! A local web page and a JSON API over a classifier.
//!
//! This room knows HTTP and nothing of networks: it checks who asks and how much they send, puts work into a bounded queue for a few
//! threads, keeps the last pictures, and gives answers back. What an answer is says a [`Backend`].
//!
//! | route | |
//! |---|---|
//! | `GET /` | the page |
//! | `GET /healthz` | `{"status": "ok", ...}` |
//! | `POST /explain` | a picture's bytes in, its explanation out; query: `class`, `rather_than`, `layer`, `name` |
//! | `POST /predict` | a picture's bytes in, both stages' predictions out; query: `name` |
//! | `GET /pictures/{id}` | what the page draws from |
//! | `POST /pictures/{id}/explain` | the same picture asked otherwise, at another layer too; query as `/explain` |
//! | `GET /pictures/{id}/cam/{class}` | the map of one class: little-endian f32, u x v |
//! | `GET /pictures/{id}/run.zip` | the folder that `introspect explain` would write; query: `class`, `rather_than`, `style` |
//!
//! Errors are `{"error": text}` with a status that says whose fault it was; 503 means that the queue is full.

mod backend;
mod body;
mod guard;
mod page;
mod pool;
mod routes;
mod server;
mod store;

pub use backend::{Ask, Backend, Refusal};
pub use server::{Limits, Stop, serve};
