using System.Globalization;
using Lamina.Cluster.Messages;
using Lamina.Coordinator.Api;
using Lamina.Coordinator.Api.Responses;
using Lamina.Coordinator.Audit;
using Lamina.Coordinator.Quotas;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace Lamina.Coordinator.Admin;

/// <summary>
/// <c>POST /admin/generations/{id}/cancel</c> ends an answer that is being made; <c>GET /admin/usage/{tenant}?days=30</c> tells what a tenant used, by day, key and model;
/// <c>GET /admin/audit?limit=50</c> the latest records of this coordinator's audit log, newest first.
/// </summary>
internal sealed class RunningEndpoints(QuotaControl quotas, TimeProvider time)
{
    private const int DefaultDays = 30;
    private const int MaxDays = 366;
    private const int DefaultRecords = 50;
    private const int MaxRecords = 500;

    public void Map(IEndpointRouteBuilder routes)
    {
        routes.MapPost("/admin/generations/{id}/cancel", CancelAsync);
        routes.MapGet("/admin/usage/{tenant}", UsageAsync);
        routes.MapGet("/admin/audit", AuditAsync);
    }

    private Task CancelAsync(HttpContext context)
    {
        AdminCaller caller = AdminCaller.Of(context);
        bool isId = Guid.TryParseExact(context.RouteText("id"), "N", out Guid id);
        MeteredAnswer answer = quotas.Running.All.FirstOrDefault(answer => isId && answer.Id == id && caller.MaySee(answer.Caller.Tenant)) ?? throw ApiError.GenerationNotFound().AsException();
        answer.Suspend();
        context.Response.StatusCode = StatusCodes.Status202Accepted;
        return Task.CompletedTask;
    }

    private Task AuditAsync(HttpContext context)
    {
        AdminCaller caller = AdminCaller.Of(context);
        AuditLog log = quotas.Audit ?? throw ApiError.RouteNotFound().AsException();
        int limit = Number(context, "limit", DefaultRecords, MaxRecords);
        IReadOnlyList<byte[]> records = log.Recent(limit, tenant => caller.IsOperator || tenant == caller.Tenant?.Value);
        return JsonBody.WriteAsync(context, json => AdminJson.WriteList(json, records, (writer, record) => writer.WriteRawValue(record)));
    }

    private static int Number(HttpContext context, string name, int byDefault, int most) =>
        context.Request.Query[name].ToString() is not { Length: > 0 } text ? byDefault
        : int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int number) && number >= 1 && number <= most ? number
        : throw ApiError.InvalidValue(name, $"'{name}' must be 1 to {most}").AsException();

    private async Task UsageAsync(HttpContext context)
    {
        TenantId tenant = context.RouteTenant();
        UsageLedger ledger = quotas.Ledger ?? throw ApiError.RouteNotFound().AsException();
        int days = Number(context, "days", DefaultDays, MaxDays);
        long today = DayBudget.DayOf(time.GetUtcNow().ToUnixTimeMilliseconds());
        IReadOnlyList<UsageDayRow> rows = await ledger.ReadAsync(tenant, today - days + 1, today, context.RequestAborted);
        await JsonBody.WriteAsync(context, json => AdminJson.WriteList(json, rows, (writer, row) =>
        {
            writer.WriteStartObject();
            writer.WriteString("day", DateOnly.FromDateTime(DateTime.UnixEpoch.AddDays(row.Day)).ToString("yyyy-MM-dd", CultureInfo.InvariantCulture));
            writer.WriteString("key", row.Key.Length == 0 ? null : row.Key);
            writer.WriteString("model", row.Model);
            writer.WriteNumber("requests", row.Requests);
            writer.WriteNumber("prompt_tokens", row.PromptTokens);
            writer.WriteNumber("generated_tokens", row.GeneratedTokens);
            writer.WriteEndObject();
        }));
    }
}
