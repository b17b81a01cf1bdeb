using System.CommandLine;
using Lamina.Cli.Access;
using Lamina.Cli.Output;
using Lamina.Cluster.Messages;
using Lamina.Coordinator.Access;

namespace Lamina.Cli.Commands;

/// <summary><c>lamina tenant</c>: the tenants of an installation. Their cells are the configuration's matter, their certificates those of <c>lamina pki</c>.</summary>
internal static class TenantCommand
{
    public static Command Create()
    {
        Command command = new("tenant", "Add, list and remove tenants; 'lamina suspend tenant' stops one.")
        {
            List(),
            Change("add", "Add a tenant, so that it can have keys.", "added", (access, tenant, cancellation) => access.AddTenantAsync(tenant, cancellation)),
            Change("remove", "Remove a tenant with all its keys.", "removed", (access, tenant, cancellation) => access.RemoveTenantAsync(tenant, cancellation)),
        };
        AccessTarget.AddTo(command);
        return command;
    }

    private static Command List()
    {
        Option<bool> json = new("--json") { Description = "Print one JSON object." };
        Command command = new("list", "List tenants.") { json };
        command.SetAction(async (parsed, cancellation) =>
        {
            using IAccessAdmin access = await AccessTarget.OpenAsync(parsed, cancellation);
            AccessTable.Write(Console.Out, await access.ListTenantsAsync(cancellation), parsed.GetValue(json));
            return 0;
        });
        return command;
    }

    private static Command Change(string verb, string description, string done, Func<IAccessAdmin, TenantId, CancellationToken, Task<Tenant>> change)
    {
        Argument<string> tenant = new("TENANT") { Description = "Name of the tenant." };
        Command command = new(verb, description) { tenant };
        command.SetAction(async (parsed, cancellation) =>
        {
            using IAccessAdmin access = await AccessTarget.OpenAsync(parsed, cancellation);
            Tenant changed = await change(access, new TenantId(parsed.GetRequiredValue(tenant)), cancellation);
            Console.Out.WriteLine($"{done} tenant {changed.Id}");
            return 0;
        });
        return command;
    }
}
