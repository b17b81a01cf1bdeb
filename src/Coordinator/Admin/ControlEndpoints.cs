using System.Text.Json;
using Lamina.Cluster.Messages;
using Lamina.Coordinator.Access;
using Lamina.Coordinator.Api;
using Lamina.Coordinator.Api.Requests;
using Lamina.Coordinator.Api.Responses;
using Lamina.Coordinator.Audit;
using Lamina.Coordinator.Quotas;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace Lamina.Coordinator.Admin;

/// <summary>
/// <c>/admin/suspensions</c>: list, preview, suspend, lift; <c>/admin/tenants/{tenant}/quotas</c>: read and set the rules of a tenant, of each of its keys (<c>*</c>) and of one key.
/// Operators only, but that a tenant's administrator reads its quotas, suspends its keys, and lifts what it imposed.
/// </summary>
internal sealed class ControlEndpoints(QuotaControl control, AccessControl access, Func<IReadOnlyList<Cell>> cells, TimeProvider time)
{
    private const string Suspensions = "/admin/suspensions";
    private const string Quotas = "/admin/tenants/{tenant}/quotas";
    private const int MaxReason = 200;

    public void Map(IEndpointRouteBuilder routes)
    {
        routes.MapGet(Suspensions, ListAsync).ForOperators();
        routes.MapGet(Suspensions + "/preview", PreviewAsync);
        routes.MapPost(Suspensions, SuspendAsync);
        routes.MapDelete(Suspensions + "/{kind}/{name}", LiftAsync);
        routes.MapGet(Quotas, ReadQuotasAsync);
        routes.MapPut(Quotas, context => SetQuotasAsync(context, QuotaRow.WholeTenant)).ForOperators();
        routes.MapDelete(Quotas, context => RemoveQuotasAsync(context, QuotaRow.WholeTenant)).ForOperators();
        routes.MapPut(Quotas + "/{key}", context => SetQuotasAsync(context, context.RouteText("key"))).ForOperators();
        routes.MapDelete(Quotas + "/{key}", context => RemoveQuotasAsync(context, context.RouteText("key"))).ForOperators();
    }

    private async Task ListAsync(HttpContext context)
    {
        IReadOnlyList<Suspension> all = await control.Suspensions!.ListAsync(context.RequestAborted);
        await JsonBody.WriteAsync(context, json => AdminJson.WriteList(json, all, Write));
    }

    private async Task SuspendAsync(HttpContext context)
    {
        AdminCaller caller = AdminCaller.Of(context);
        Suspension suspension = SuspensionNames.Checked(await AdminRequest.ReadAsync(context, fields => new Suspension(
            KindOf(fields.TakeName("kind")), fields.TakeName("name"), fields.TakeString("tenant", 63) is { Length: > 0 } tenant ? new TenantId(tenant) : null,
            fields.TakeString("reason", MaxReason) ?? "", time.GetUtcNow(), caller.IsOperator ? SuspendedBy.Operator : SuspendedBy.Tenant)));
        context.Items[Auditor.Subject] = SubjectOf(suspension);
        await RequireMayAsync(caller, suspension, context.RequestAborted);
        Effect hit = await EffectOfAsync(suspension, context.RequestAborted);
        await control.Suspensions!.SuspendAsync(suspension, context.RequestAborted);
        await control.RefreshAsync(CancellationToken.None);
        if (!Covers(suspension, caller))
        {
            await access.NoticeAsync();
            await JsonBody.WriteAsync(context, json => Write(json, suspension, hit), StatusCodes.Status201Created);
            return;
        }

        // It ends the key of this very request, so its answer goes first.
        await JsonBody.WriteAsync(context, json => Write(json, suspension, hit), StatusCodes.Status201Created);
        await context.Response.CompleteAsync();
        await access.NoticeAsync();
    }

    /// <summary>For the audit log.</summary>
    private static string SubjectOf(Suspension suspension) =>
        $"{suspension.Kind} {Auditor.WithoutSecret(suspension.Name)}{(suspension.Tenant is { } tenant ? $" of {tenant}" : "")}{(suspension.Reason.Length > 0 ? $", reason: {suspension.Reason}" : "")}";

    /// <summary>What suspending would end, here and now.</summary>
    private async Task PreviewAsync(HttpContext context)
    {
        AdminCaller caller = AdminCaller.Of(context);
        string tenant = context.Request.Query["tenant"].ToString();
        Suspension suspension = SuspensionNames.Checked(new Suspension(
            KindOf(context.Request.Query["kind"].ToString()), context.Request.Query["name"].ToString(), tenant.Length == 0 ? null : new TenantId(tenant), "", time.GetUtcNow(),
            caller.IsOperator ? SuspendedBy.Operator : SuspendedBy.Tenant));
        await RequireMayAsync(caller, suspension, context.RequestAborted);
        Effect hit = await EffectOfAsync(suspension, context.RequestAborted);
        await JsonBody.WriteAsync(context, json => Write(json, suspension, hit));
    }

    private async Task LiftAsync(HttpContext context)
    {
        AdminCaller caller = AdminCaller.Of(context);
        string tenant = context.Request.Query["tenant"].ToString();
        SuspendedBy by = caller.IsOperator ? SuspendedBy.Operator : SuspendedBy.Tenant;
        var suspension = new Suspension(KindOf(context.RouteText("kind")), context.RouteText("name"), tenant.Length == 0 ? null : new TenantId(tenant), "", time.GetUtcNow(), by);
        context.Items[Auditor.Subject] = SubjectOf(suspension);
        await RequireMayAsync(caller, suspension, context.RequestAborted);
        if (Covers(suspension, caller))
        {
            // A coordinator that has not heard yet that the key is suspended would else take its word.
            throw ApiError.MissingScope("a key cannot lift its own suspension").AsException();
        }

        if (!await control.Suspensions!.LiftAsync(suspension.Kind, suspension.Name, suspension.Tenant, context.RequestAborted, by))
        {
            throw new AccessChangeException($"the {suspension.Kind.ToString().ToLowerInvariant()} {suspension.Name} is not suspended") { IsNotFound = true };
        }

        await control.RefreshAsync(CancellationToken.None);
        await access.NoticeAsync();
        await JsonBody.WriteAsync(context, json => Write(json, suspension));
    }

    private async Task ReadQuotasAsync(HttpContext context)
    {
        TenantId tenant = context.RouteTenant();
        TenantQuotas quotas = control.Desk.RulesOf(tenant);
        await JsonBody.WriteAsync(context, json => json.WriteRawValue(JsonSerializer.SerializeToUtf8Bytes(quotas, QuotaStore.Json)));
    }

    private async Task SetQuotasAsync(HttpContext context, string key)
    {
        TenantId tenant = context.RouteTenant();
        ReadOnlyMemory<byte> body = await RequestBody.ReadAsync(context.Request);
        QuotaRules rules;
        try
        {
            rules = JsonSerializer.Deserialize<QuotaRules>(body.Span, QuotaStore.Json) ?? throw new JsonException("null");
        }
        catch (JsonException)
        {
            throw ApiError.InvalidBody("the rules must be one JSON object of known fields, such as {\"requestsPerMinute\":60}").AsException();
        }

        if (rules.Problem() is { } problem)
        {
            throw ApiError.InvalidBody(problem).AsException();
        }

        context.Items[Auditor.Subject] = JsonSerializer.Serialize(rules, QuotaStore.Json);
        await control.Quotas!.SetAsync(tenant, key, rules, context.RequestAborted);
        await control.RefreshAsync(context.RequestAborted);
        await ReadQuotasAsync(context);
    }

    private async Task RemoveQuotasAsync(HttpContext context, string key)
    {
        await control.Quotas!.SetAsync(context.RouteTenant(), key, null, context.RequestAborted);
        await control.RefreshAsync(context.RequestAborted);
        await ReadQuotasAsync(context);
    }

    /// <summary>A tenant's administrator may suspend that tenant's keys, and subjects of its tokens, and nothing else.</summary>
    private async Task RequireMayAsync(AdminCaller caller, Suspension suspension, CancellationToken cancellation)
    {
        bool may = caller.IsOperator || (suspension.Kind == SuspensionKind.Key && (TokenSubject.Is(suspension.Name)
            ? suspension.Tenant == caller.Tenant
            : suspension.Tenant is null && (await access.Keys.ListAsync(caller.Tenant, cancellation)).Any(key => key.Id == suspension.Name)));
        if (!may)
        {
            throw ApiError.MissingScope("this needs an operator's key").AsException();
        }
    }

    /// <summary>Whether it is the caller's own key.</summary>
    private static bool Covers(Suspension suspension, AdminCaller caller) =>
        suspension.Kind == SuspensionKind.Key && suspension.Name == caller.Key && (suspension.Tenant is null || suspension.Tenant == caller.Tenant);

    /// <param name="Known">Whether there is such a thing, as this coordinator and the database know; null where that cannot be told, which is so for subjects of tokens.</param>
    private sealed record Effect(bool? Known, int Answers, IReadOnlyList<string> Tenants, IReadOnlyList<string> Keys, IReadOnlyList<string> Models);

    private async Task<Effect> EffectOfAsync(Suspension suspension, CancellationToken cancellation)
    {
        bool? known = await IsKnownAsync(suspension, cancellation);
        if (suspension.Kind == SuspensionKind.Node)
        {
            (Cell Cell, DeploymentView View)[] moved =
                [.. cells().Where(cell => cell.Tenant == suspension.Tenant).SelectMany(cell => cell.Deployments.Where(view => view.Stages.Any(stage => stage.Node == suspension.Name)).Select(view => (cell, view)))];
            return new Effect(
                known, moved.Sum(one => { one.Cell.LoadOf(one.View.Name, out int active); return active; }), [.. moved.Select(one => one.Cell.Tenant.Value).Distinct()], [],
                [.. moved.Select(one => one.View.Name)]);
        }

        var alone = new SuspensionList([suspension]);
        MeteredAnswer[] hit = [.. control.Running.All.Where(answer => alone.Of(answer.Caller.Tenant, answer.Caller.Key, answer.Meter.Digest) is not null)];
        return new Effect(
            known, hit.Length, [.. hit.Select(answer => answer.Caller.Tenant.Value).Distinct().Order()], [.. hit.Select(answer => answer.Caller.Key ?? "local").Distinct().Order()],
            [.. hit.Select(answer => answer.Meter.Model).Distinct().Order()]);
    }

    private async Task<bool?> IsKnownAsync(Suspension suspension, CancellationToken cancellation) => suspension.Kind switch
    {
        SuspensionKind.Tenant => (await access.Tenants.ListAsync(cancellation)).Any(tenant => tenant.Id.Value == suspension.Name),
        SuspensionKind.Key => TokenSubject.Is(suspension.Name) ? null : (await access.Keys.ListAsync(null, cancellation)).Any(key => key.Id == suspension.Name),
        SuspensionKind.Model => cells().Any(cell => cell.Deployments.Any(view => cell.FindModel(view.Name)?.Stored.Digest.ToString() == suspension.Name)),

        // One that is suspended already is shown among no cell's nodes.
        _ => control.Running.Suspensions.NodesOf(suspension.Tenant!.Value).Contains(suspension.Name)
            || cells().Any(cell => cell.Tenant == suspension.Tenant && cell.Nodes.Any(node => node.Name.Value == suspension.Name)),
    };

    private static SuspensionKind KindOf(string text) => text switch
    {
        "tenant" => SuspensionKind.Tenant,
        "key" => SuspensionKind.Key,
        "model" => SuspensionKind.Model,
        "node" => SuspensionKind.Node,
        _ => throw ApiError.InvalidValue("kind", "'kind' must be tenant, key, model or node").AsException(),
    };

    private static void Write(Utf8JsonWriter json, Suspension suspension) => Write(json, suspension, null);

    private static void Write(Utf8JsonWriter json, Suspension suspension, Effect? effect)
    {
        json.WriteStartObject();
        json.WriteString("kind", suspension.Kind.ToString().ToLowerInvariant());
        json.WriteString("name", suspension.Name);
        json.WriteString("tenant", suspension.Tenant?.Value);
        json.WriteString("reason", suspension.Reason);
        json.WriteString("since", suspension.Since.UtcDateTime);
        json.WriteString("by", suspension.By.ToString().ToLowerInvariant());
        if (effect is not null)
        {
            if (effect.Known is { } known)
            {
                json.WriteBoolean("known", known);
            }
            else
            {
                json.WriteNull("known");
            }

            json.WriteStartObject("affected");
            json.WriteNumber("answers", effect.Answers);
            foreach ((string name, IReadOnlyList<string> values) in new[] { ("tenants", effect.Tenants), ("keys", effect.Keys), ("models", effect.Models) })
            {
                json.WriteStartArray(name);
                foreach (string value in values)
                {
                    json.WriteStringValue(value);
                }

                json.WriteEndArray();
            }

            json.WriteEndObject();
        }

        json.WriteEndObject();
    }
}
