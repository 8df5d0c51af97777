// The page opens without network: what it needs is taken along as one version,
// and asked for nowhere else. The server writes VERSION and FILES above this.

self.addEventListener("install", e => e.waitUntil((async () => {
	const cache = await caches.open(VERSION);
	await cache.addAll(FILES.map(file => new Request(file, {cache: "reload"})));
	await self.skipWaiting();
})()));

self.addEventListener("activate", e => e.waitUntil((async () => {
	for (const name of await caches.keys()) {
		if (name.startsWith("stall-") && name !== VERSION) {
			await caches.delete(name);
		}
	}
	await self.clients.claim();
})()));

self.addEventListener("fetch", e => {
	if (e.request.method === "GET") {
		e.respondWith(caches.match(e.request, {cacheName: VERSION, ignoreSearch: true}).then(kept => kept ?? fetch(e.request)));
	}
});
