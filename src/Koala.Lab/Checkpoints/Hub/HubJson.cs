using System.Net.Http.Headers;
using System.Text.Json;
using Koala.Lab.Runtime.Files;

namespace Koala.Lab.Checkpoints.Hub;

/// <summary>The bodies of requests in JSON.</summary>
internal static class HubJson
{
    /// <param name="body">The object.</param>
    /// <param name="type">The media type of the body, and of the answer that is wanted.</param>
    public static HttpContent Body(object body, string type = "application/json") =>
        new ByteArrayContent(JsonSerializer.SerializeToUtf8Bytes(body, JsonFormat.Line))
        {
            Headers = { ContentType = new MediaTypeHeaderValue(type) },
        };
}
