namespace Lamina.Coordinator.Api;

/// <summary>Every route that asks for a key, as <c>METHOD pattern</c>: what <c>lamina verify-isolation</c> tries without one. A test compares it with what the listeners map.</summary>
public static class GuardedRoutes
{
    public static IReadOnlyList<string> Api { get; } =
    [
        "GET /", "GET /status.json", "GET /assets/status.js", "GET /assets/status.css", "GET /metrics", "GET /health/ready", "GET /tenant/events", "GET /tenant/quotas", "GET /v1/usage",
        "GET /v1/models", "GET /v1/models/{id}", "POST /v1/chat/completions", "POST /v1/completions", "POST /v1/embeddings", "POST /v1/rerank",
        "POST /v1/responses", "GET /v1/responses/{id}", "DELETE /v1/responses/{id}", "GET /v1/responses/{id}/input_items",
        "GET /v1/generations/{id}/events", "DELETE /v1/generations/{id}", "POST /v1/nodes/{name}/drain", "POST /tokenize", "POST /detokenize", "POST /apply-template",
        "GET /v1/files", "POST /v1/files", "GET /v1/files/{id}", "DELETE /v1/files/{id}", "GET /v1/files/{id}/content",
        "GET /v1/batches", "POST /v1/batches", "GET /v1/batches/{id}", "POST /v1/batches/{id}/cancel",
    ];

    public static IReadOnlyList<string> Admin { get; } =
    [
        "GET /admin/me", "GET /admin/audit", "GET /admin/cells", "POST /admin/cells/{tenant}/nodes/{node}/drain",
        "GET /admin/cells/{tenant}/deployments/{deployment}/replan", "POST /admin/cells/{tenant}/deployments/{deployment}/replan",
        "GET /admin/cells/{tenant}/deployments/{deployment}/roll", "POST /admin/cells/{tenant}/deployments/{deployment}/roll",
        "GET /admin/tenants", "POST /admin/tenants", "GET /admin/tenants/{tenant}", "DELETE /admin/tenants/{tenant}", "POST /admin/tenants/{tenant}/suspend", "POST /admin/tenants/{tenant}/resume",
        "GET /admin/tenants/{tenant}/quotas", "PUT /admin/tenants/{tenant}/quotas", "DELETE /admin/tenants/{tenant}/quotas", "PUT /admin/tenants/{tenant}/quotas/{key}", "DELETE /admin/tenants/{tenant}/quotas/{key}",
        "GET /admin/keys", "POST /admin/keys", "POST /admin/keys/{key}/rotate", "POST /admin/keys/{key}/revoke",
        "GET /admin/suspensions", "GET /admin/suspensions/preview", "POST /admin/suspensions", "DELETE /admin/suspensions/{kind}/{name}",
        "GET /admin/usage/{tenant}", "POST /admin/generations/{id}/cancel",
        "GET /dashboard/session", "POST /dashboard/logout", "GET /dashboard/events",
    ];
}
