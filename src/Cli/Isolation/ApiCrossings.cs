using System.Net;
using System.Net.Http.Headers;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Lamina.Coordinator.Api;

namespace Lamina.Cli.Isolation;

/// <summary>The HTTP API: every route without a key, another tenant's models with one's own, and what another tenant's caches hold.</summary>
internal static class ApiCrossings
{
    public static async Task<IReadOnlyList<Crossing>> TryAllAsync(Uri? api, HttpClient http, IReadOnlyList<Insider> cells, bool needsKeys, CancellationToken cancellation)
    {
        if (api is null)
        {
            return [Crossing.NotTried("anybody", "the API", "routes", "its address is not known; name it by --api")];
        }

        var found = new List<Crossing>();
        try
        {
            found.AddRange(needsKeys ? await WithoutKeyAsync(api, http, "the API", [.. GuardedRoutes.Api, .. GuardedRoutes.Admin, "GET /no-such-route"], cancellation) : [Crossing.NotTried("a stranger", "the API", "routes without a key", "it asks for none: one tenant, on loopback")]);
            foreach (Insider from in cells)
            {
                foreach (Insider into in cells.Where(cell => cell != from))
                {
                    found.AddRange(from.Key is null
                        ? [Crossing.NotTried(from.Name, into.Name, "models over the API", $"no key of {from.Name} was given (--key {from.Name}=FILE)")]
                        : await ForeignModelsAsync(api, http, from, into, cancellation));
                    found.Add(await ForeignCacheAsync(api, http, from, into, cancellation));
                    found.AddRange(await ForeignIdCrossings.TryAsync(api, http, from, into, cancellation));
                }
            }
        }
        catch (Exception e) when (IsUnanswered(e, cancellation))
        {
            found.Add(Crossing.Unproven("anybody", "the API", api.ToString(), $"it cannot be asked: {e.Message}"));
        }

        return found;
    }

    /// <summary>The admin listener: nothing without a key, and nothing with a key that is for something else.</summary>
    public static async Task<IReadOnlyList<Crossing>> TryAdminAsync(Uri admin, HttpClient http, IReadOnlyList<Insider> cells, CancellationToken cancellation)
    {
        const string Listener = "the admin listener";
        var found = new List<Crossing>();
        try
        {
            found.AddRange(await WithoutKeyAsync(admin, http, Listener, [.. GuardedRoutes.Admin, .. GuardedRoutes.Api, "GET /no-such-route"], cancellation));
            foreach (Insider from in cells.Where(cell => cell.Key is not null))
            {
                (HttpStatusCode me, _) = await AskAsync(admin, http, "GET /admin/me", from.Key, null, cancellation);
                if (me == HttpStatusCode.OK)
                {
                    found.Add(Crossing.NotTried(from.Name, Listener, "routes with a tenant's key", $"the key of {from.Name} is an administrator's"));
                    continue;
                }

                foreach (string route in GuardedRoutes.Admin)
                {
                    (HttpStatusCode status, _) = await AskAsync(admin, http, route, from.Key, "{}", cancellation);
                    string what = $"{route} with a tenant's key";
                    found.Add(status is HttpStatusCode.Forbidden or HttpStatusCode.Unauthorized ? Crossing.Held(from.Name, Listener, what, $"{(int)status}") : Crossing.Crossed(from.Name, Listener, what, $"answered with {(int)status}"));
                }
            }
        }
        catch (Exception e) when (IsUnanswered(e, cancellation))
        {
            found.Add(Crossing.Unproven("anybody", Listener, admin.ToString(), $"it cannot be asked: {e.Message}"));
        }

        return found;
    }

    /// <summary>The health listener asks for no key, and so must have nothing but health and metrics.</summary>
    public static async Task<IReadOnlyList<Crossing>> TryHealthAsync(Uri health, HttpClient http, CancellationToken cancellation)
    {
        const string Listener = "the health listener";
        var found = new List<Crossing>();
        try
        {
            (HttpStatusCode live, _) = await AskAsync(health, http, "GET /health/live", null, null, cancellation);
            if (live != HttpStatusCode.OK)
            {
                return [Crossing.Unproven("a stranger", Listener, health.ToString(), $"it answers GET /health/live with {(int)live}")];
            }

            foreach (string route in GuardedRoutes.Api.Concat(GuardedRoutes.Admin).Where(route => route is not ("GET /metrics" or "GET /health/ready")).Concat(["GET /dashboard", "POST /dashboard/login", "POST /health/live"]))
            {
                (HttpStatusCode status, _) = await AskAsync(health, http, route, null, null, cancellation);
                found.Add(status is HttpStatusCode.NotFound or HttpStatusCode.MethodNotAllowed ? Crossing.Held("a stranger", Listener, route, $"{(int)status}") : Crossing.Crossed("a stranger", Listener, route, $"answered with {(int)status}"));
            }
        }
        catch (Exception e) when (IsUnanswered(e, cancellation))
        {
            found.Add(Crossing.Unproven("anybody", Listener, health.ToString(), $"it cannot be asked: {e.Message}"));
        }

        return found;
    }

    private static bool IsUnanswered(Exception e, CancellationToken cancellation) => e is HttpRequestException || (e is TaskCanceledException && !cancellation.IsCancellationRequested);

    private static async Task<IReadOnlyList<Crossing>> WithoutKeyAsync(Uri api, HttpClient http, string listener, IEnumerable<string> routes, CancellationToken cancellation)
    {
        var found = new List<Crossing>();
        foreach (string route in routes)
        {
            foreach ((string who, string? key) in new[] { ("no key", null), ("a key that nobody issued", "lam_" + new string('a', 43)) })
            {
                (HttpStatusCode status, _) = await AskAsync(api, http, route, key, body: "{}", cancellation);
                string what = $"{route} with {who}";
                found.Add(status == HttpStatusCode.Unauthorized ? Crossing.Held("a stranger", listener, what, "401") : Crossing.Crossed("a stranger", listener, what, $"answered with {(int)status}"));
            }
        }

        return found;
    }

    /// <summary>Another tenant's model must look exactly like one that does not exist.</summary>
    private static async Task<IReadOnlyList<Crossing>> ForeignModelsAsync(Uri api, HttpClient http, Insider from, Insider into, CancellationToken cancellation)
    {
        var found = new List<Crossing>();
        (HttpStatusCode listed, string list) = await AskAsync(api, http, "GET /v1/models", from.Key, null, cancellation);
        if (listed != HttpStatusCode.OK)
        {
            return [Crossing.Unproven(from.Name, into.Name, "models over the API", $"the key of {from.Name} was answered with {(int)listed}")];
        }

        foreach (string model in into.Models)
        {
            if (from.Models.Contains(model))
            {
                found.Add(Crossing.NotTried(from.Name, into.Name, $"model {model}", $"{from.Name} has a model of the same name"));
                continue;
            }

            string unknown = new('x', model.Length);
            found.Add(list.Contains($"\"{model}\"", StringComparison.Ordinal)
                ? Crossing.Crossed(from.Name, into.Name, $"list of models shows {model}", "listed")
                : Crossing.Held(from.Name, into.Name, $"list of models shows {model}", "it does not"));
            foreach (string route in new[] { $"GET /v1/models/{model}", "POST /v1/chat/completions", "POST /v1/completions", "POST /tokenize" })
            {
                (HttpStatusCode theirs, string theirBody) = await AskAsync(api, http, route, from.Key, Body(route, model), cancellation, into.Name);
                (HttpStatusCode none, string noBody) = await AskAsync(api, http, route.Replace(model, unknown, StringComparison.Ordinal), from.Key, Body(route, unknown), cancellation);
                bool same = theirs == none && theirBody.Replace(model, unknown, StringComparison.Ordinal) == noBody && (int)theirs is >= 400 and < 500;
                found.Add(same
                    ? Crossing.Held(from.Name, into.Name, $"{route} of {model}, naming tenant {into.Name} in headers", $"{(int)theirs}, as a model that does not exist")
                    : Crossing.Crossed(from.Name, into.Name, $"{route} of {model}, naming tenant {into.Name} in headers", $"answered with {(int)theirs}, and one that does not exist with {(int)none}"));
            }
        }

        return found;
    }

    /// <summary>A prompt that one tenant had computed twice, the second time from its cache, must be new to the other.</summary>
    private static async Task<Crossing> ForeignCacheAsync(Uri api, HttpClient http, Insider from, Insider into, CancellationToken cancellation)
    {
        const string What = "the cache of a prompt";
        if (from.Key is null || into.Key is null)
        {
            return Crossing.NotTried(from.Name, into.Name, What, $"no key of {(from.Key is null ? from.Name : into.Name)} was given (--key TENANT=FILE)");
        }

        // Never asked before, and long enough for blocks of the cache.
        string prompt = RandomNumberGenerator.GetHexString(320);
        string? theirModel = await AnsweringModelAsync(api, http, into.Key, cancellation), ownModel = await AnsweringModelAsync(api, http, from.Key, cancellation);
        if (theirModel is null || ownModel is null)
        {
            return Crossing.NotTried(from.Name, into.Name, What, $"no model of {(theirModel is null ? into.Name : from.Name)} completes texts just now");
        }

        _ = await CachedTokensAsync(api, http, into.Key, theirModel, prompt, cancellation);
        int kept = await CachedTokensAsync(api, http, into.Key, theirModel, prompt, cancellation) ?? 0;
        return kept == 0 ? Crossing.NotTried(from.Name, into.Name, What, $"{into.Name} itself finds none of its prompts again")
            : await CachedTokensAsync(api, http, from.Key, ownModel, prompt, cancellation) switch
            {
                null => Crossing.NotTried(from.Name, into.Name, What, $"{from.Name} was refused an answer"),
                0 => Crossing.Held(from.Name, into.Name, What, $"{into.Name} finds {kept} tokens again, {from.Name} none of them"),
                { } found => Crossing.Crossed(from.Name, into.Name, What, $"{found} tokens that {into.Name} had computed were found"),
            };
    }

    /// <summary>The first of a key's models that completes a text; null when none does.</summary>
    internal static async Task<string?> AnsweringModelAsync(Uri api, HttpClient http, string key, CancellationToken cancellation)
    {
        (HttpStatusCode status, string list) = await AskAsync(api, http, "GET /v1/models", key, null, cancellation);
        if (status != HttpStatusCode.OK)
        {
            return null;
        }

        using JsonDocument models = JsonDocument.Parse(list);
        foreach (string model in models.RootElement.GetProperty("data").EnumerateArray().Select(model => model.GetProperty("id").GetString()!).ToArray())
        {
            if (await CachedTokensAsync(api, http, key, model, "hi", cancellation) is not null)
            {
                return model;
            }
        }

        return null;
    }

    /// <summary>How much of the prompt was not computed but found; null when there was no answer.</summary>
    private static async Task<int?> CachedTokensAsync(Uri api, HttpClient http, string key, string model, string prompt, CancellationToken cancellation)
    {
        string body = JsonSerializer.Serialize(new Dictionary<string, object> { ["model"] = model, ["prompt"] = prompt, ["max_tokens"] = 1 });
        (HttpStatusCode status, string answer) = await AskAsync(api, http, "POST /v1/completions", key, body, cancellation);
        if (status != HttpStatusCode.OK)
        {
            return null;
        }

        using JsonDocument json = JsonDocument.Parse(answer);
        return json.RootElement.GetProperty("usage").GetProperty("prompt_tokens_details").GetProperty("cached_tokens").GetInt32();
    }

    private static string? Body(string route, string model) => route switch
    {
        "POST /v1/chat/completions" => JsonSerializer.Serialize(new Dictionary<string, object> { ["model"] = model, ["messages"] = new[] { new Dictionary<string, string> { ["role"] = "user", ["content"] = "hi" } } }),
        "POST /v1/completions" => JsonSerializer.Serialize(new Dictionary<string, object> { ["model"] = model, ["prompt"] = "hi", ["max_tokens"] = 1 }),
        "POST /tokenize" => JsonSerializer.Serialize(new Dictionary<string, object> { ["model"] = model, ["content"] = "hi" }),
        _ => null,
    };

    internal static async Task<(HttpStatusCode Status, string Body)> AskAsync(Uri api, HttpClient http, string route, string? key, string? body, CancellationToken cancellation, string? claimed = null)
    {
        string[] parts = route.Split(' ');
        using var request = new HttpRequestMessage(new HttpMethod(parts[0]), new Uri(api, parts[1].Replace('{', '-').Replace('}', '-')));
        request.Headers.Authorization = key is null ? null : new AuthenticationHeaderValue("Bearer", key);
        if (claimed is not null)
        {
            request.Headers.TryAddWithoutValidation("X-Tenant", claimed);
            request.Headers.TryAddWithoutValidation("X-Lamina-Tenant", claimed);
            request.Headers.TryAddWithoutValidation("OpenAI-Organization", claimed);
            request.Headers.TryAddWithoutValidation("OpenAI-Project", claimed);
        }

        request.Content = body is null || parts[0] is not ("POST" or "PUT") ? null : new StringContent(body, Encoding.UTF8, "application/json");
        using HttpResponseMessage response = await http.SendAsync(request, cancellation);
        return (response.StatusCode, await response.Content.ReadAsStringAsync(cancellation));
    }
}
