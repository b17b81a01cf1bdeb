using System.Globalization;
using Lamina.Cluster.Messages;
using Lamina.Coordinator.Access;
using Lamina.Coordinator.Admin;
using Lamina.Coordinator.Api;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace Lamina.Coordinator.Audit;

/// <summary>Turns what happens in the coordinator into records. Without a log it does nothing.</summary>
internal sealed class Auditor(AuditLog? log, TimeProvider time)
{
    private const int RefusalsPerSecond = 10;

    private readonly RecordLimit _refusals = new(RefusalsPerSecond, time);

    public static string ActorOf(string? key) => string.IsNullOrEmpty(key) ? "local" : key;

    public void Generation(Caller caller, string model, string digest, int epoch, long promptTokens, long generatedTokens, string result) => log?.Add(
        new AuditRecord(time.GetUtcNow(), ActorOf(caller.Key), caller.Tenant.Value, "generation", result)
        {
            Model = model, Digest = digest, Epoch = epoch, PromptTokens = promptTokens, GeneratedTokens = generatedTokens,
        });

    public void Plan(TenantId tenant, DeploymentView deployment) => log?.Add(
        new AuditRecord(time.GetUtcNow(), "system", tenant.Value, "plan", deployment.Phase.ToString().ToLowerInvariant())
        {
            Model = deployment.Name, Epoch = deployment.Epoch, Target = string.Join(' ', deployment.Stages.Select(stage => $"{stage.Node}:{stage.FirstLayer}-{stage.EndLayer - 1}")),
        });

    /// <summary>Peers of a cell were refused at this coordinator's ports: strangers, or members that claimed what their certificate does not say. The log of the process has each with its address.</summary>
    /// <param name="count">Since the last record of the reason.</param>
    /// <param name="last">Whom the certificate of the last of them names, be it a forged one; null where it showed none.</param>
    public void PeersRefused(TenantId tenant, string reason, long count, string? last) => log?.Add(
        new AuditRecord(time.GetUtcNow(), "peer", tenant.Value, "refusal", reason) { Target = last is null ? "cell" : $"cell, last {last}", Suppressed = count > 1 ? count - 1 : null });

    /// <summary>Records refusals, of credentials and by quota or suspension, at a bounded rate.</summary>
    public async Task RefusalsAsync(HttpContext context, RequestDelegate next)
    {
        await next(context);
        if (log is null || context.Response.StatusCode is not (401 or 403 or 429))
        {
            return;
        }

        (string actor, string? tenant) = WhoOf(context);
        if (_refusals.TryPass($"{tenant} {context.Response.StatusCode}", out long suppressed))
        {
            log.Add(new AuditRecord(time.GetUtcNow(), actor, tenant, "refusal", context.Response.StatusCode.ToString(CultureInfo.InvariantCulture))
            {
                Target = RouteOf(context), Suppressed = suppressed > 0 ? suppressed : null,
            });
        }
    }

    /// <summary>Records what administrators change: that they do before it happens, on the disk, and with what result after it.</summary>
    public async Task AdministrationAsync(HttpContext context, RequestDelegate next)
    {
        if (log is null || HttpMethods.IsGet(context.Request.Method) || context.GetEndpoint() is null)
        {
            await next(context);
            return;
        }

        string values = string.Join(' ', context.Request.RouteValues.Select(value => $"{value.Key}={WithoutSecret(value.Value?.ToString())}"));
        string target = $"{context.Request.Method} {RouteOf(context)} {values}".TrimEnd();
        if (ReferenceEquals(context.GetEndpoint()?.Metadata.GetMetadata<RequiredScope>(), RequiredScope.Nothing))
        {
            await SignInAsync(context, next, target);
            return;
        }

        (string actor, string? tenant) = WhoOf(context);
        await log.WriteAsync(new AuditRecord(time.GetUtcNow(), actor, tenant, "admin", "begun") { Target = target });
        string result = "failed";
        try
        {
            await next(context);
            result = context.Response.StatusCode.ToString(CultureInfo.InvariantCulture);
        }
        catch (ApiException e)
        {
            result = e.Error.Status.ToString(CultureInfo.InvariantCulture);
            throw;
        }
        finally
        {
            string subject = context.Items[Subject] is { } noted ? $" {noted}" : "";
            log.Add(new AuditRecord(time.GetUtcNow(), actor, tenant, "admin", result) { Target = target + subject });
        }
    }

    /// <summary>The same for routes of the API that ask for the scope admin.</summary>
    public Task AdministrationOfApiAsync(HttpContext context, RequestDelegate next) =>
        context.GetEndpoint()?.Metadata.GetMetadata<RequiredScope>()?.Scope.HasFlag(KeyScopes.Admin) == true ? AdministrationAsync(context, next) : next(context);

    /// <summary>Whoever writes a whole key where its id belongs must not find it in the log.</summary>
    public static string? WithoutSecret(string? value) => value is not null && ApiKeyText.TryParse(value, out string? id) ? $"(a whole key of {id})" : value;

    /// <summary>A public route, which changes nothing before it knows its caller: who signed in is recorded then; who failed to is a refusal, of which only some are.</summary>
    private async Task SignInAsync(HttpContext context, RequestDelegate next, string target)
    {
        await next(context);
        if (context.Features.Get<AdminCaller>() is not null)
        {
            (string actor, string? tenant) = WhoOf(context);
            log!.Add(new AuditRecord(time.GetUtcNow(), actor, tenant, "admin", context.Response.StatusCode.ToString(CultureInfo.InvariantCulture)) { Target = target });
        }
    }

    private static (string Actor, string? Tenant) WhoOf(HttpContext context) =>
        context.Features.Get<AdminCaller>() is { } admin ? (admin.Key, admin.Tenant?.Value)
        : context.Features.Get<Caller>() is { } caller ? (ActorOf(caller.Key), caller.Tenant.Value)
        : ("unknown", null);

    private static string RouteOf(HttpContext context) => (context.GetEndpoint() as RouteEndpoint)?.RoutePattern.RawText ?? "none";

    /// <summary>Where an admin endpoint notes what it changed, for the record.</summary>
    public static object Subject { get; } = new();
}
