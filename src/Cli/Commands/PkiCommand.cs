using System.CommandLine;
using System.Globalization;
using Lamina.Cli.Kubernetes;
using Lamina.Cluster.Identity;
using Lamina.Cluster.Messages;

namespace Lamina.Cli.Commands;

/// <summary><c>lamina pki</c>: an installation's authorities and certificates, offline, in a folder that only its owner can read.</summary>
internal static class PkiCommand
{
    private static readonly Option<string> s_folder = new("--folder") { Description = "Folder of the PKI.", DefaultValueFactory = _ => "pki", Recursive = true };

    public static Command Create()
    {
        Command command = new("pki", "Create, issue, rotate and show certificates (offline, but for kubernetes).") { s_folder, Init(), Tenant(), Issue(), Rotate(), Show(), Kubernetes() };
        return command;
    }

    private static Command Init()
    {
        Option<string> installation = new("--installation") { Description = "Name of the installation in every certificate's URI.", DefaultValueFactory = _ => "lamina" };
        Command command = new("init", "Create an empty PKI folder.") { installation };
        command.SetAction(parsed =>
        {
            PkiFolder folder = PkiFolder.Init(Folder(parsed), parsed.GetValue(installation)!);
            Console.Out.WriteLine($"created {folder.FolderPath} for installation {folder.Installation}");
        });
        return command;
    }

    private static Command Tenant()
    {
        Argument<string> tenant = TenantArgument();
        Command command = new("tenant", "Create a tenant's root authority.") { tenant };
        command.SetAction(parsed =>
        {
            PkiFolder.Open(Folder(parsed)).AddTenant(new TenantId(parsed.GetRequiredValue(tenant)));
            Console.Out.WriteLine($"created the root of tenant {parsed.GetValue(tenant)}; its key stays in this folder and belongs on no node");
        });
        return command;
    }

    private static Command Issue()
    {
        Argument<string> tenant = TenantArgument();
        Argument<string> role = new("ROLE") { Description = "coordinator or node." };
        role.AcceptOnlyFromAmong("coordinator", "node");
        Argument<string> name = new("NAME") { Description = "Name of the process, unique in its cell." };
        Option<string[]> hosts = new("--host") { Description = "Host name or address by which the others reach it; repeat for several.", AllowMultipleArgumentsPerToken = true, Required = true };
        Option<double> hours = new("--hours") { Description = "Lifetime.", DefaultValueFactory = _ => CertificateAuthority.DefaultLeafLifetime.TotalHours };
        Command command = new("issue", "Issue the certificate of one coordinator or node.") { tenant, role, name, hosts, hours };
        command.SetAction(parsed =>
        {
            CertificateFiles files = PkiFolder.Open(Folder(parsed)).Issue(
                new TenantId(parsed.GetRequiredValue(tenant)),
                parsed.GetValue(role) == "node" ? PeerRole.Node : PeerRole.Coordinator,
                parsed.GetRequiredValue(name),
                parsed.GetRequiredValue(hosts),
                TimeSpan.FromHours(parsed.GetValue(hours)));
            Console.Out.WriteLine($"certificate {files.CertificatePath}\nkey         {files.KeyPath}\ntrust       {files.TrustBundlePath}");
        });
        return command;
    }

    private static Command Rotate()
    {
        Argument<string> tenant = TenantArgument();
        Argument<string> step = new("STEP") { Description = "leaves: new certificates; add-root: trust a further root; drop-roots: trust only the newest root." };
        step.AcceptOnlyFromAmong("leaves", "add-root", "drop-roots");
        Command command = new("rotate", "Rotate a tenant's certificates, or its root in three steps: add-root, leaves, drop-roots; distribute the files after each.") { tenant, step };
        command.SetAction(parsed =>
        {
            PkiFolder folder = PkiFolder.Open(Folder(parsed));
            TenantId id = new(parsed.GetRequiredValue(tenant));
            Console.Out.WriteLine(parsed.GetValue(step) switch
            {
                "leaves" => $"issued {folder.RotateLeaves(id)} certificates anew",
                "add-root" => AddRoot(folder, id),
                _ => $"dropped {folder.DropOldRoots(id)} roots",
            });
        });
        return command;
    }

    private static string AddRoot(PkiFolder folder, TenantId tenant)
    {
        folder.AddRoot(tenant);
        return "added a root; distribute the trust bundles before issuing from it";
    }

    private static Command Show()
    {
        Command command = new("show", "List authorities and certificates with their expiry and serial numbers.");
        command.SetAction(parsed =>
        {
            PkiFolder folder = PkiFolder.Open(Folder(parsed));
            foreach (TenantId tenant in folder.Tenants)
            {
                foreach (IssuedCertificate certificate in folder.Show(tenant))
                {
                    Console.Out.WriteLine(string.Create(CultureInfo.InvariantCulture,
                        $"{certificate.Identity?.Uri ?? $"root of {tenant}",-70} until {certificate.NotAfter:yyyy-MM-dd HH:mm} UTC  serial {certificate.SerialNumber}  {string.Join(' ', certificate.Hosts)}"));
                }
            }
        });
        return command;
    }

    private static Command Kubernetes()
    {
        Argument<string> tenant = TenantArgument();
        Option<string> installation = new("--installation") { Description = "Name of the installation in every certificate's URI.", DefaultValueFactory = _ => "lamina" };
        Option<string> space = new("--namespace") { Description = "Namespace of the Secrets.", Required = true };
        Option<string> root = new("--root-secret") { Description = "Secret of the tenant's roots and their keys, which no other pod needs; made when it is missing, never replaced.", Required = true };
        Option<string[]> parts = new("--part") { Description = "A StatefulSet and its headless Service, as coordinator/NAME=REPLICAS or node/NAME=REPLICAS; repeat for several. Its Secret is NAME-pki, unless /SECRET follows.", Required = true };
        Option<string> domain = new("--domain") { Description = "What stands behind POD.NAME in a pod's DNS name, such as lamina.svc.cluster.local.", Required = true };
        Option<string> leaf = new("--leaf") { Description = "Lifetime of a certificate.", DefaultValueFactory = _ => "24h" };
        Option<string> renew = new("--renew-before") { Description = "How long before its end a certificate is made anew.", DefaultValueFactory = _ => "8h" };
        Option<string> rootLife = new("--root") { Description = "Lifetime of a root, at least ten times that of a certificate; in its last fifth it gets a successor.", DefaultValueFactory = _ => "43800h" };
        Option<string> account = new("--service-account") { Description = "Folder of the pod's token and the cluster's authority.", DefaultValueFactory = _ => ServiceAccount.DefaultFolder };
        Command command = new("kubernetes", "In a pod: keep a tenant's roots and its cell's certificates in Secrets; what is there and good stays. Run it again in time.")
        {
            tenant, installation, space, root, parts, domain, leaf, renew, rootLife, account,
        };
        command.SetAction(async (parsed, cancellation) =>
        {
            PkiLifetimes lifetimes = new(
                Durations.Parse(parsed.GetValue(leaf)!, "--leaf"), Durations.Parse(parsed.GetValue(renew)!, "--renew-before"), Durations.Parse(parsed.GetValue(rootLife)!, "--root"));
            if (lifetimes.Problem is { } problem)
            {
                throw new UsageException(problem);
            }

            CellPart[] cell = [.. parsed.GetRequiredValue(parts).Select(CellPart.Parse)];
            using SecretClient secrets = new(ServiceAccount.Find(parsed.GetValue(account)!), parsed.GetRequiredValue(space));
            await new CellSecrets(
                secrets, new TenantId(parsed.GetRequiredValue(tenant)), parsed.GetValue(installation)!, parsed.GetRequiredValue(root), parsed.GetRequiredValue(domain), lifetimes, Console.Out).KeepAsync(cell, cancellation);
            return 0;
        });
        return command;
    }

    private static Argument<string> TenantArgument() => new("TENANT") { Description = "Name of the tenant." };

    private static string Folder(ParseResult parsed) => Path.GetFullPath(parsed.GetValue(s_folder)!);
}
