using System.Globalization;
using System.Net;

namespace Lamina.Cli.Kubernetes;

/// <summary>Where the API server of the cluster is and what this pod shows it: environment and files that Kubernetes gives a pod.</summary>
internal sealed record ServiceAccount(Uri Server, string TokenPath, string AuthorityPath)
{
    public const string DefaultFolder = "/var/run/secrets/kubernetes.io/serviceaccount";

    /// <summary>Throws <see cref="CommandException"/> with one sentence outside a pod that has a token.</summary>
    public static ServiceAccount Find(string folder)
    {
        string? host = Environment.GetEnvironmentVariable("KUBERNETES_SERVICE_HOST"), port = Environment.GetEnvironmentVariable("KUBERNETES_SERVICE_PORT");
        string token = Path.Combine(folder, "token"), authority = Path.Combine(folder, "ca.crt");
        if (string.IsNullOrEmpty(host) || !ushort.TryParse(port, NumberStyles.None, CultureInfo.InvariantCulture, out ushort number) || !File.Exists(token) || !File.Exists(authority))
        {
            throw new CommandException($"this is no pod with a service account: KUBERNETES_SERVICE_HOST, KUBERNETES_SERVICE_PORT, '{token}' and '{authority}' are needed");
        }

        string name = IPAddress.TryParse(host, out IPAddress? address) && address.AddressFamily == System.Net.Sockets.AddressFamily.InterNetworkV6 ? $"[{host}]" : host;
        return new ServiceAccount(new Uri($"https://{name}:{number}/"), token, authority);
    }
}
