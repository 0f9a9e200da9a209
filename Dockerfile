# Wheelhouse in a container: packages are in the volume /data, the server listens on port 3141, and the password of the
# user root comes in DEVPI_PASSWORD. deploy.sh builds and starts it; docker-entrypoint.sh says what runs in it.

FROM rust:1.95-bookworm AS builder
WORKDIR /build
ENV CARGO_PROFILE_RELEASE_STRIP=symbols
# The dependencies alone, as a layer that is made again only when they change.
COPY .cargo .cargo
COPY Cargo.toml Cargo.lock ./
RUN mkdir src \
 && touch src/lib.rs \
 && echo 'fn main() {}' > src/main.rs \
 && cargo build --release --locked
COPY docker-entrypoint.sh ./
COPY src src
# Touched, as the copied files can be older than what was built from the empty ones.
RUN touch src/lib.rs src/main.rs \
 && cargo build --release --locked \
 && install -D --mode=755 --target-directory=/programs docker-entrypoint.sh \
    target/release/devpi-server target/release/devpi-init target/release/devpi-import target/release/devpi-export \
    target/release/devpi-fsck target/release/devpi-passwd target/release/devpi-gen-config \
    target/release/devpi-gen-secret target/release/devpi-clear-search-index

FROM debian:bookworm-slim
LABEL org.opencontainers.image.title="Wheelhouse" \
      org.opencontainers.image.description="A private Python package server: a drop-in replacement of devpi-server" \
      org.opencontainers.image.licenses="MIT"
# A fixed number that no account of the host is likely to have: files in /data belong to it there, too.
RUN groupadd --system --gid 314 devpi \
 && useradd --system --uid 314 --gid devpi --no-create-home --home-dir /data --shell /usr/sbin/nologin devpi \
 && install --directory --mode=750 --owner=devpi --group=devpi /data
COPY --from=builder /programs/ /usr/local/bin/
# Whom to trust when releases are pushed to other servers.
COPY --from=builder /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
# For the programs beside the server, as in `docker exec devpi devpi-fsck`.
ENV DEVPISERVER_SERVERDIR=/data
WORKDIR /data
VOLUME /data
EXPOSE 3141
USER 314:314
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s --retries=3 \
    CMD ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/3141 && printf 'GET /+api HTTP/1.0\\r\\n\\r\\n' >&3 && head -n 1 <&3 | grep -q ' 200 '"]
ENTRYPOINT ["/usr/local/bin/docker-entrypoint.sh"]
CMD []
