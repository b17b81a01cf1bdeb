using System.ComponentModel;
using System.Globalization;

namespace Lamina.Cluster.Messages;

/// <summary>Lets configuration write ids and endpoints as plain text.</summary>
public abstract class TextConverter<T>(Func<string, T> parse) : TypeConverter
{
    public override bool CanConvertFrom(ITypeDescriptorContext? context, Type sourceType) => sourceType == typeof(string);

    public override object? ConvertFrom(ITypeDescriptorContext? context, CultureInfo? culture, object value) => parse((string)value);
}

public sealed class TenantIdConverter() : TextConverter<TenantId>(text => new TenantId(text));

public sealed class NodeNameConverter() : TextConverter<NodeName>(text => new NodeName(text));

public sealed class EndpointConverter() : TextConverter<Endpoint>(Endpoint.Parse);
