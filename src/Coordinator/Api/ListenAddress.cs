using System.Globalization;
using System.Net;

namespace Lamina.Coordinator.Api;

/// <summary>Where the HTTP API listens.</summary>
public static class ListenAddress
{
    /// <param name="key">The configuration's key, for the sentence.</param>
    /// <summary>Reads <c>host:port</c>; throws <see cref="ArgumentException"/> with one sentence.</summary>
    public static IPEndPoint Parse(string listen, string key = "Coordinator:Listen")
    {
        int colon = listen.LastIndexOf(':');
        string host = colon < 0 ? "" : listen[..colon];
        if (colon < 0 || !int.TryParse(listen.AsSpan(colon + 1), NumberStyles.None, CultureInfo.InvariantCulture, out int port) || port > ushort.MaxValue)
        {
            throw new ArgumentException($"{key} is '{listen}', expected ADDRESS:PORT such as 127.0.0.1:8080 or [::1]:8080");
        }

        if (string.Equals(host, "localhost", StringComparison.OrdinalIgnoreCase))
        {
            return new IPEndPoint(IPAddress.Loopback, port);
        }

        if (!IPAddress.TryParse(host.Trim('[', ']'), out IPAddress? address))
        {
            throw new ArgumentException($"{key} is '{listen}', expected an IP address before the port");
        }

        return new IPEndPoint(address, port);
    }
}
