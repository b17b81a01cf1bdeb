using System.CommandLine;
using System.Globalization;
using Lamina.Cli.Access;
using Lamina.Cluster.Messages;
using Lamina.Coordinator.Quotas;

namespace Lamina.Cli.Commands;

/// <summary><c>lamina suspend</c> and <c>lamina lift</c>: tenants, keys, models and nodes that must stop at once, streams included, at every coordinator of the database.</summary>
internal static class SuspendCommand
{
    private static readonly (SuspensionKind Kind, string Argument, string What)[] s_kinds =
    [
        (SuspensionKind.Tenant, "TENANT", "a tenant: its requests are refused and its streams end"),
        (SuspensionKind.Key, "KEY", "an API key by its id, or oidc: and a token's subject: its requests are refused and its streams end"),
        (SuspensionKind.Model, "DIGEST", "a model by its file's digest: requests for it are refused and its streams end"),
        (SuspensionKind.Node, "NODE", "a node of a tenant: what runs on it moves to others"),
    ];

    public static Command Create()
    {
        Command command = new("suspend", "Stop a tenant, key, model or node within a second, running streams included.");
        foreach ((SuspensionKind kind, string argument, string what) in s_kinds)
        {
            command.Subcommands.Add(Suspend(kind, argument, what));
        }

        command.Subcommands.Add(List());
        AccessTarget.AddTo(command);
        return command;
    }

    public static Command CreateLift()
    {
        Command command = new("lift", "Lift a suspension.");
        foreach ((SuspensionKind kind, string argument, string what) in s_kinds)
        {
            Argument<string> name = new(argument);
            Option<string?> tenant = TenantOption(kind);
            Command one = new(kind.ToString().ToLowerInvariant(), $"Lift the suspension of {what[..what.IndexOf(':', StringComparison.Ordinal)]}.") { name };
            AddTenant(one, kind, tenant);
            one.SetAction(async (parsed, cancellation) =>
            {
                using IAccessAdmin access = await AccessTarget.OpenAsync(parsed, cancellation);
                await access.LiftAsync(kind, parsed.GetRequiredValue(name), TenantOf(kind, parsed.GetValue(tenant)), cancellation);
                Console.Out.WriteLine($"lifted {kind.ToString().ToLowerInvariant()} {parsed.GetRequiredValue(name)}");
                return 0;
            });
            command.Subcommands.Add(one);
        }

        AccessTarget.AddTo(command);
        return command;
    }

    private static Command Suspend(SuspensionKind kind, string argument, string what)
    {
        Argument<string> name = new(argument);
        Option<string?> tenant = TenantOption(kind);
        Option<string> reason = new("--reason") { Description = "Noted beside the suspension.", DefaultValueFactory = _ => "" };
        Option<bool> preview = new("--preview") { Description = "Only show who would be affected; needs --url." };
        Command command = new(kind.ToString().ToLowerInvariant(), $"Suspend {what}.") { name, reason, preview };
        AddTenant(command, kind, tenant);
        command.SetAction(async (parsed, cancellation) =>
        {
            using IAccessAdmin access = await AccessTarget.OpenAsync(parsed, cancellation);
            var suspension = new Suspension(kind, parsed.GetRequiredValue(name), TenantOf(kind, parsed.GetValue(tenant)), parsed.GetValue(reason) ?? "", DateTimeOffset.UtcNow);
            bool only = parsed.GetValue(preview);
            string? affected = await access.SuspendAsync(suspension, only, cancellation);
            string text = $"{(only ? "would suspend" : "suspended")} {kind.ToString().ToLowerInvariant()} {suspension.Name}";
            Console.Out.WriteLine(affected is null ? text : $"{text}: {affected}");
            return 0;
        });
        return command;
    }

    private static Command List()
    {
        Command command = new("list", "List what is suspended.");
        command.SetAction(async (parsed, cancellation) =>
        {
            using IAccessAdmin access = await AccessTarget.OpenAsync(parsed, cancellation);
            foreach (Suspension one in await access.ListSuspensionsAsync(cancellation))
            {
                Console.Out.WriteLine(string.Create(
                    CultureInfo.InvariantCulture,
                    $"{one.Kind.ToString().ToLowerInvariant(),-7} {one.Name,-24} {(one.Tenant is { } tenant ? $"of {tenant} " : "")}since {one.Since.UtcDateTime:yyyy-MM-dd HH:mm} UTC by {(one.By == SuspendedBy.Tenant ? "the tenant" : "an operator")} {one.Reason}").TrimEnd());
            }

            return 0;
        });
        return command;
    }

    private static Option<string?> TenantOption(SuspensionKind kind) => new("--tenant") { Description = kind == SuspensionKind.Node ? "Whose node it is." : "Whose tokens name the subject; none for a key.", Required = kind == SuspensionKind.Node };

    private static void AddTenant(Command command, SuspensionKind kind, Option<string?> tenant)
    {
        if (kind is SuspensionKind.Node or SuspensionKind.Key)
        {
            command.Options.Add(tenant);
        }
    }

    private static TenantId? TenantOf(SuspensionKind kind, string? tenant) => kind is SuspensionKind.Node or SuspensionKind.Key && tenant is { Length: > 0 } ? new TenantId(tenant) : null;
}
