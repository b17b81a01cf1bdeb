using System.CommandLine;
using System.Text.Json;
using Lamina.Cli.Access;
using Lamina.Cluster.Messages;
using Lamina.Coordinator.Quotas;

namespace Lamina.Cli.Commands;

/// <summary><c>lamina quota</c>: what a tenant and its keys may use. What is set here goes before the configuration file, within a second and without a restart.</summary>
internal static class QuotaCommand
{
    public static Command Create()
    {
        Command command = new("quota", "Show, set and remove the quotas of a tenant and its keys.") { Show(), Set(), Remove() };
        AccessTarget.AddTo(command);
        return command;
    }

    private static Command Show()
    {
        Argument<string> tenant = new("TENANT");
        Command command = new("show", "Print the rules that are set, as JSON.") { tenant };
        command.SetAction(async (parsed, cancellation) =>
        {
            using IAccessAdmin access = await AccessTarget.OpenAsync(parsed, cancellation);
            Console.Out.WriteLine(await access.ReadQuotasAsync(new TenantId(parsed.GetRequiredValue(tenant)), cancellation));
            return 0;
        });
        return command;
    }

    private static Command Set()
    {
        Argument<string> tenant = new("TENANT");
        Argument<string> rules = new("RULES") { Description = "A JSON object, such as '{\"requestsPerMinute\":60,\"generatedTokensPerDay\":1000000}'." };
        Option<string?> key = KeyOption();
        Command command = new("set", "Set the rules of a tenant, of each of its keys, or of one key. What a rule does not name is not limited.") { tenant, rules, key };
        command.SetAction(async (parsed, cancellation) =>
        {
            using IAccessAdmin access = await AccessTarget.OpenAsync(parsed, cancellation);
            await access.SetQuotasAsync(new TenantId(parsed.GetRequiredValue(tenant)), parsed.GetValue(key) ?? QuotaRow.WholeTenant, Parse(parsed.GetRequiredValue(rules)), cancellation);
            Console.Out.WriteLine($"set the quotas of {parsed.GetRequiredValue(tenant)}");
            return 0;
        });
        return command;
    }

    private static Command Remove()
    {
        Argument<string> tenant = new("TENANT");
        Option<string?> key = KeyOption();
        Command command = new("remove", "Remove rules, so that those of the configuration hold.") { tenant, key };
        command.SetAction(async (parsed, cancellation) =>
        {
            using IAccessAdmin access = await AccessTarget.OpenAsync(parsed, cancellation);
            await access.SetQuotasAsync(new TenantId(parsed.GetRequiredValue(tenant)), parsed.GetValue(key) ?? QuotaRow.WholeTenant, null, cancellation);
            Console.Out.WriteLine($"removed the quotas of {parsed.GetRequiredValue(tenant)}");
            return 0;
        });
        return command;
    }

    private static Option<string?> KeyOption() => new("--key") { Description = $"A key's id, or '{QuotaRow.EachKey}' for each key without rules of its own; the tenant as a whole when not given." };

    private static QuotaRules Parse(string text)
    {
        QuotaRules rules;
        try
        {
            rules = JsonSerializer.Deserialize<QuotaRules>(text, QuotaStore.Json) ?? throw new JsonException("null");
        }
        catch (JsonException e)
        {
            throw new UsageException($"the rules are no JSON object of known fields: {e.Message}");
        }

        return rules.Problem() is { } problem ? throw new UsageException(problem) : rules;
    }
}
