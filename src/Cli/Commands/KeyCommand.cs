using System.CommandLine;
using Lamina.Cli.Access;
using Lamina.Cli.Output;
using Lamina.Cluster.Messages;
using Lamina.Coordinator.Access;

namespace Lamina.Cli.Commands;

/// <summary><c>lamina key</c>: API keys. A new key goes to standard output alone, once; what else there is to say goes to standard error.</summary>
internal static class KeyCommand
{
    public static Command Create()
    {
        Command command = new("key", "Create, list, rotate and revoke API keys.") { CreateKey(), List(), Rotate(), Revoke() };
        AccessTarget.AddTo(command);
        return command;
    }

    private static Command CreateKey()
    {
        Argument<string?> tenant = new("TENANT") { Description = "Tenant that the key speaks for.", Arity = ArgumentArity.ZeroOrOne };
        Option<bool> forOperator = new("--operator") { Description = "A key for operators of the whole installation instead: for the admin listener only." };
        Option<string> name = new("--name") { Description = "What the key is for.", DefaultValueFactory = _ => "key" };
        Option<string[]> scopes = new("--scope") { Description = "inference, usage or admin; repeat for several.", DefaultValueFactory = _ => ["inference"] };
        Option<string?> expires = new("--expires") { Description = "Lifetime such as 90d or 12h; without it the key lives until it is revoked." };
        Command command = new("create", "Create a key and show it, once.") { tenant, forOperator, name, scopes, expires };
        command.SetAction(async (parsed, cancellation) =>
        {
            TenantId? owner = parsed.GetValue(tenant) is { } text ? new TenantId(text) : null;
            if (owner is null != parsed.GetValue(forOperator))
            {
                throw new UsageException("name the key's TENANT, or give --operator");
            }

            using IAccessAdmin access = await AccessTarget.OpenAsync(parsed, cancellation);
            TimeSpan? lifetime = parsed.GetValue(expires) is { } length ? Durations.Parse(length, "--expires") : null;
            NewKey made = await access.CreateKeyAsync(owner, parsed.GetValue(name)!, owner is null ? KeyScopes.Admin : Scopes(parsed.GetValue(scopes)!), lifetime, cancellation);
            Show(made, $"{(owner is null ? "an operator" : $"tenant {owner}")}, {KeyScopeNames.Format(made.Key.Scopes)}");
            return 0;
        });
        return command;
    }

    private static Command List()
    {
        Argument<string?> tenant = new("TENANT") { Description = "Only this tenant's keys.", Arity = ArgumentArity.ZeroOrOne };
        Option<bool> json = new("--json") { Description = "Print one JSON object." };
        Command command = new("list", "List keys; their texts are known to nobody but their owners.") { tenant, json };
        command.SetAction(async (parsed, cancellation) =>
        {
            using IAccessAdmin access = await AccessTarget.OpenAsync(parsed, cancellation);
            AccessTable.Write(Console.Out, await access.ListKeysAsync(parsed.GetValue(tenant) is { } text ? new TenantId(text) : null, cancellation), parsed.GetValue(json));
            return 0;
        });
        return command;
    }

    private static Command Rotate()
    {
        Argument<string> key = KeyArgument();
        Option<string> overlap = new("--overlap") { Description = "How long the old text works beside the new one; 0s ends it at once.", DefaultValueFactory = _ => "24h" };
        Command command = new("rotate", "Give a key a new text, and show it, once.") { key, overlap };
        command.SetAction(async (parsed, cancellation) =>
        {
            using IAccessAdmin access = await AccessTarget.OpenAsync(parsed, cancellation);
            NewKey made = await access.RotateKeyAsync(parsed.GetRequiredValue(key), Durations.Parse(parsed.GetValue(overlap)!, "--overlap"), cancellation);
            Show(made, made.Key.OldSecretUntil is { } until ? $"the old text works until {AccessTable.Time(until)}" : "the old text works no more");
            return 0;
        });
        return command;
    }

    private static Command Revoke()
    {
        Argument<string> key = KeyArgument();
        Command command = new("revoke", "End a key for good, and the streams that it started, within a second.") { key };
        command.SetAction(async (parsed, cancellation) =>
        {
            using IAccessAdmin access = await AccessTarget.OpenAsync(parsed, cancellation);
            ApiKey revoked = await access.RevokeKeyAsync(parsed.GetRequiredValue(key), cancellation);
            Console.Out.WriteLine($"revoked {revoked.Id} ({revoked.Name})");
            return 0;
        });
        return command;
    }

    private static Argument<string> KeyArgument() => new("ID") { Description = "The key's id: the twelve digits after lam_, as 'lamina key list' shows them." };

    private static KeyScopes Scopes(string[] names)
    {
        try
        {
            return KeyScopeNames.Parse(names.SelectMany(name => name.Split(',')));
        }
        catch (ArgumentException exception)
        {
            throw new UsageException(exception.Message);
        }
    }

    private static void Show(NewKey made, string about)
    {
        Console.Error.WriteLine($"key {made.Key.Id} ({about}); this is the only time that it is shown:");
        Console.Out.WriteLine(made.Text);
    }
}
