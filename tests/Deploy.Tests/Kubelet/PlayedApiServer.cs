using System.Collections.Concurrent;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json.Nodes;
using k8s;
using k8s.Models;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Lamina.Deploy.Tests.Kubelet;

/// <summary>
/// The part of Kubernetes' API that the chart's own Job uses: single Secrets, read, applied and replaced over HTTPS, by whom a Role's rules let. Versions and the owners of applied
/// fields are kept as far as conflicts depend on them.
/// </summary>
internal sealed class PlayedApiServer : IAsyncDisposable
{
    private const string Route = "/api/v1/namespaces/{space}/secrets/{name}";

    private readonly ConcurrentDictionary<string, (string Namespace, string Account)> _tokens = new();
    private readonly ConcurrentDictionary<(string Namespace, string Name), JsonObject> _secrets = new();
    private readonly Lock _writing = new();
    private readonly WebApplication _web;
    private IReadOnlyList<object> _objects = [];
    private int _version;

    private PlayedApiServer(WebApplication web, string authority) => (_web, Authority) = (web, authority);

    /// <summary>What pods hold its certificate against.</summary>
    public string Authority { get; }

    /// <summary>A Secret was written.</summary>
    public Action<V1Secret>? Written { get; set; }

    /// <param name="socket">Bound already, in whatever network it is to be reached from.</param>
    public static async Task<PlayedApiServer> StartAsync(Socket socket, params string[] hosts)
    {
        (string certificate, string key) = ServerCertificate.Create(hosts);
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseKestrelHttpsConfiguration();
        builder.WebHost.UseSockets(transport => transport.CreateBoundListenSocket = _ => socket);
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(socket.LocalEndPoint!, listen => listen.UseHttps(X509Certificate2.CreateFromPem(certificate, key))));
        WebApplication web = builder.Build();
        var server = new PlayedApiServer(web, certificate);
        web.MapGet(Route, server.GetAsync);
        web.MapPatch(Route, server.ApplyAsync);
        web.MapPut(Route, server.ReplaceAsync);
        await web.StartAsync();
        return server;
    }

    /// <summary>Roles and bindings from now on.</summary>
    public void Use(IEnumerable<object> objects) => _objects = [.. objects.Where(value => value is V1Role or V1RoleBinding)];

    public string TokenOf(string space, string account)
    {
        string token = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(32));
        _tokens[token] = (space, account);
        return token;
    }

    /// <summary>A Secret as it stands, with its version; null when there is none.</summary>
    public V1Secret? Find(string space, string name) => _secrets.TryGetValue((space, name), out JsonObject? secret) ? KubernetesJson.Deserialize<V1Secret>(secret.ToJsonString()) : null;

    /// <summary>As somebody else would with kubectl.</summary>
    public void Set(V1Secret secret)
    {
        var json = (JsonObject)JsonNode.Parse(KubernetesJson.Serialize(secret))!;
        lock (_writing)
        {
            Store(secret.Metadata.NamespaceProperty, secret.Metadata.Name, json);
        }
    }

    public async ValueTask DisposeAsync() => await _web.DisposeAsync();

    private Task GetAsync(HttpContext context, string space, string name) =>
        !MayDo(context, "get", space, name) ? ForbidAsync(context, "get", name)
        : _secrets.TryGetValue((space, name), out JsonObject? secret) ? context.Response.WriteAsync(secret.ToJsonString())
        : FailAsync(context, 404, $"secrets \"{name}\" not found");

    private async Task ApplyAsync(HttpContext context, string space, string name)
    {
        Assert.Equal("application/apply-patch+yaml", context.Request.ContentType!.Split(';')[0]);
        Assert.NotEmpty(context.Request.Query["fieldManager"].ToString());
        JsonObject sent = await ReadAsync(context);
        string? problem = null;
        lock (_writing)
        {
            if (!MayDo(context, "patch", space, name) || (!_secrets.ContainsKey((space, name)) && !MayDo(context, "create", space, name)))
            {
                problem = "patch";
            }
            else if (!_secrets.TryGetValue((space, name), out JsonObject? present))
            {
                Store(space, name, sent);
            }
            else if (!JsonNode.DeepEquals(present["data"], sent["data"]))
            {
                problem = "conflict"; // each manager of ours is new, so that every field is another's
            }
        }

        await (problem switch
        {
            "patch" => ForbidAsync(context, problem, name),
            null => context.Response.WriteAsync(_secrets[(space, name)].ToJsonString()),
            _ => FailAsync(context, 409, "Apply failed with 1 conflict"),
        });
    }

    private async Task ReplaceAsync(HttpContext context, string space, string name)
    {
        JsonObject sent = await ReadAsync(context);
        bool conflict = false;
        lock (_writing)
        {
            if (MayDo(context, "update", space, name))
            {
                conflict = !_secrets.TryGetValue((space, name), out JsonObject? present) || (string?)present["metadata"]!["resourceVersion"] != (string?)sent["metadata"]!["resourceVersion"];
                if (!conflict)
                {
                    Store(space, name, sent);
                }
            }
            else
            {
                context.Response.StatusCode = StatusCodes.Status403Forbidden;
            }
        }

        await (context.Response.StatusCode == StatusCodes.Status403Forbidden ? ForbidAsync(context, "update", name)
            : conflict ? FailAsync(context, 409, "the object has been modified")
            : context.Response.WriteAsync(_secrets[(space, name)].ToJsonString()));
    }

    private static async Task<JsonObject> ReadAsync(HttpContext context)
    {
        using var reader = new StreamReader(context.Request.Body);
        return (JsonObject)JsonNode.Parse(await reader.ReadToEndAsync())!;
    }

    private void Store(string space, string name, JsonObject secret)
    {
        Assert.Equal((space, name), ((string?)secret["metadata"]!["namespace"], (string?)secret["metadata"]!["name"]));
        secret["metadata"]!["resourceVersion"] = $"{++_version}";
        _secrets[(space, name)] = secret;
        Written?.Invoke(Find(space, name)!);
    }

    /// <summary>By a Role that a RoleBinding gives the caller's account, by name; a wildcard would not be understood, and none is wanted.</summary>
    private bool MayDo(HttpContext context, string verb, string space, string name)
    {
        string header = context.Request.Headers.Authorization.ToString();
        return header.StartsWith("Bearer ", StringComparison.Ordinal) && _tokens.TryGetValue(header[7..], out (string Namespace, string Account) caller)
            && _objects.OfType<V1RoleBinding>().Where(binding => binding.Metadata.NamespaceProperty == space && binding.Subjects.Any(subject => subject.Kind == "ServiceAccount" && (subject.NamespaceProperty, subject.Name) == caller))
                .SelectMany(binding => _objects.OfType<V1Role>().Where(role => role.Metadata.NamespaceProperty == space && role.Metadata.Name == binding.RoleRef.Name))
                .SelectMany(role => role.Rules).Any(rule => rule.ApiGroups.Contains("") && rule.Resources.Contains("secrets") && rule.Verbs.Contains(verb) && rule.ResourceNames?.Contains(name) == true);
    }

    private static Task ForbidAsync(HttpContext context, string verb, string name) => FailAsync(context, 403, $"secrets \"{name}\" is forbidden: cannot {verb}");

    private static Task FailAsync(HttpContext context, int code, string message)
    {
        context.Response.StatusCode = code;
        return context.Response.WriteAsync(new JsonObject { ["kind"] = "Status", ["apiVersion"] = "v1", ["status"] = "Failure", ["message"] = message, ["code"] = code }.ToJsonString());
    }
}
