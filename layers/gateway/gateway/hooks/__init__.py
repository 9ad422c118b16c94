"""What hooks are, as pure functions: no I/O, no clock. The pipeline asks them, adapters carry what leaves the gateway.

subject        what a hook is asked about, whichever operation it is of
chat_request   a chat request as a subject          chat_reply   a chat reply as one
chat_names     what of a chat request has to stay as it is          schemas   JSON Schemas as hooks see them
built_in       the hooks that run in the gateway: masking (personal, iban), deny_list, size, schema
restored_chunks   what was masked, put back into a stream
remote         what remote hooks are sent, and what they may answer; media: bytes that stay here meanwhile
guardrail      Amazon Bedrock's own words for the same
signature      Standard Webhooks
settings       whether what an administrator sets can do anything
"""
